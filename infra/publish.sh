#!/bin/sh
# Puts the app's package, its models and the console where infra/main.bicep made room for them, with the identity of who
# runs it. `azd up` calls it; by hand: azd env get-values > .env && set -a && . ./.env && infra/publish.sh
set -eu
cd "$(dirname "$0")/.."
: "${RECSERVE_GROUP:?run it through azd, or set what main.bicep puts out}"
BIN=${BIN:-.venv/bin}
PACKAGE=${PACKAGE:-dist/recserve.zip}
work=$(mktemp -d)
python=$(pwd)/$BIN/python
trap 'rm -rf "$work"' EXIT

# A role that was just assigned may take minutes to count, and so may a host that just started.
patiently() {
    for attempt in 1 2 3 4 5 6 7 8 9; do
        "$@" && return 0
        echo "attempt $attempt of 10: waiting half a minute" >&2
        sleep 30
    done
    "$@"
}

test -e "$PACKAGE" && test -x "$BIN/python" || make package
# Azure installs nothing into a package that it mounts: its dependencies must be inside.
"$python" -m zipfile -l "$PACKAGE" | grep -q '^\.python_packages/' || {
    echo "$PACKAGE brings no dependencies; make it with: make package" >&2
    exit 1
}
patiently az storage blob upload --auth-mode login --account-name "$RECSERVE_DATA_ACCOUNT" --container-name packages \
    --name recserve.zip --file "$PACKAGE" --overwrite --only-show-errors --output none
# Later versions come from training, by the same command: what is there already stays.
test "$(az storage blob exists --auth-mode login --account-name "$RECSERVE_DATA_ACCOUNT" --container-name models \
    --name manifest.json --query exists --output tsv)" = true ||
    "$python" -m recserve.inference.blob publish models --container-url "$RECSERVE_MODELS_URL"

az functionapp restart --resource-group "$RECSERVE_GROUP" --name "$RECSERVE_APP"
app=$(az functionapp show --resource-group "$RECSERVE_GROUP" --name "$RECSERVE_APP" --query id --output tsv)
patiently az rest --method post --url "$app/syncfunctiontriggers?api-version=2024-11-01"

# The console asks the API with a function key. It goes from one Azure service to another and is printed nowhere.
put_key() (
    umask 077
    az functionapp keys list --resource-group "$RECSERVE_GROUP" --name "$RECSERVE_APP" \
        --query functionKeys.default --output tsv | tr -d '\n' > "$work/key" &&
        test -s "$work/key" &&
        az keyvault secret set --vault-name "$RECSERVE_VAULT" --name api-key --file "$work/key" --output none
)
patiently put_key

mkdir "$work/console"
cp -R console planner recserve models .streamlit "$work/console"
cp console/requirements.txt infra/console-start.sh "$work/console"
(
    cd "$work/console"
    find . -name __pycache__ -prune -exec rm -rf {} +
    "$python" -m zipfile -c "$work/console.zip" * .streamlit
)
az webapp deploy --resource-group "$RECSERVE_GROUP" --name "$RECSERVE_CONSOLE" --type zip \
    --src-path "$work/console.zip" --only-show-errors --output none

echo "API:      $RECSERVE_API_URL"
echo "Console:  $RECSERVE_CONSOLE_URL, locked until sign-in is configured: infra/README.md"
echo "Workbook: $RECSERVE_WORKBOOK_URL"
test -n "${RECSERVE_ALERT_EMAIL:-}" ||
    echo "Nobody is told of alerts: azd env set RECSERVE_ALERT_EMAIL you@example.com && azd up"
