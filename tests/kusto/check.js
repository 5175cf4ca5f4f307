// For each line {"tables": {table: {column: type}}, "queries": {name: text}} of standard input, writes a line
// {name: {"columns": {column: type}, "errors": [{"message", "at"}]}}.
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const vm = require("vm");

const folder = path.join(process.argv[2], "@kusto", "language-service-next");
const context = vm.createContext({ console: { log() {}, warn() {}, error() {} } });
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  new vm.Script(fs.readFileSync(path.join(folder, file), "utf8"), { filename: file }).runInContext(context);
}
const { KustoCode, GlobalState, Symbols } = context.Kusto.Language;

function check(given) {
  const tables = Object.entries(given.tables).map(([table, columns]) => {
    const symbols = Object.entries(columns).map(
      ([name, type]) => new Symbols.ColumnSymbol(name, Symbols.ScalarTypes.GetSymbol(type)),
    );
    return new Symbols.TableSymbol.$ctor4(table, symbols);
  });
  const database = new Symbols.DatabaseSymbol("workspace", tables);
  const globals = GlobalState.Default.WithDatabase(database);

  const verdicts = {};
  for (const [name, text] of Object.entries(given.queries)) {
    const code = KustoCode.ParseAndAnalyze(text, globals);
    const found = code.GetDiagnostics();
    const errors = [];
    for (let i = 0; i < found.Count; i++) {
      const diagnostic = found.getItem ? found.getItem(i) : found.Items[i];
      if (diagnostic.Severity === "Error") errors.push({ message: diagnostic.Message, at: diagnostic.Start });
    }
    const columns = {};
    const result = code.ResultType;
    if (result && result.Columns) {
      for (let i = 0; i < result.Columns.Count; i++) {
        const column = result.Columns.getItem(i);
        columns[column.Name] = column.Type.Name;
      }
    }
    verdicts[name] = { columns, errors };
  }
  return verdicts;
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  console.log(JSON.stringify(check(JSON.parse(line))));
});
