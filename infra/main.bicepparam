using 'main.bicep'

// What the planner advises: python -m planner plan ... --out infra/plan.json
var advice = loadJsonContent('plan.json').parameters

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param deployerId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param alertEmail = readEnvironmentVariable('RECSERVE_ALERT_EMAIL', '')
param budgetStart = readEnvironmentVariable('RECSERVE_BUDGET_START', '')
param monthlyBudget = int(readEnvironmentVariable('RECSERVE_MONTHLY_BUDGET', '400'))

param sku = advice.sku.value
param minimumElasticInstanceCount = advice.minimumElasticInstanceCount.value
param preWarmedInstanceCount = advice.preWarmedInstanceCount.value
param maximumElasticWorkerCount = advice.maximumElasticWorkerCount.value
param functionAppScaleLimit = advice.functionAppScaleLimit.value
param ladder = advice.ladder.value
param appSettings = advice.appSettings.value

param isZoneRedundant = bool(readEnvironmentVariable('RECSERVE_ZONE_REDUNDANT', 'false'))
param isPrivate = bool(readEnvironmentVariable('RECSERVE_PRIVATE', 'false'))
param uploadFrom = readEnvironmentVariable('RECSERVE_UPLOAD_FROM', '')
param apiClientId = readEnvironmentVariable('RECSERVE_API_CLIENT_ID', '')
param consoleRoles = readEnvironmentVariable('RECSERVE_CONSOLE_ROLES', 'Recserve.Operator')
