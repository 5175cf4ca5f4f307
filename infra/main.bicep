// Recserve on Azure: everything that serves, watches and pays, in one resource group.
targetScope = 'subscription'

@description('Name of the environment; resources are named after it.')
@minLength(1)
@maxLength(20)
param environmentName string

@description('Region of all resources.')
param location string

@description('Object id of who deploys, a user: may upload packages, publish models and set the console\'s secrets. Empty: nobody.')
param deployerId string = ''

@description('Who is told when an alert fires or the budget runs out; empty: nobody, and no budget is kept.')
param alertEmail string = ''

@description('Size of an instance.')
@allowed(['EP1', 'EP2', 'EP3'])
param sku string = 'EP1'

@description('Always-ready instances.')
@minValue(1)
@maxValue(20)
param minimumElasticInstanceCount int = 1

@description('Pre-warmed instances behind the active ones.')
@minValue(0)
@maxValue(10)
param preWarmedInstanceCount int = 1

@description('Instances that the plan may grow to.')
@minValue(1)
@maxValue(100)
param maximumElasticWorkerCount int = 3

@description('Instances that the app may grow to; 0: as many as the plan.')
@minValue(0)
@maxValue(100)
param functionAppScaleLimit int = 0

@description('Variants to serve; empty: those that the models\' manifest serves.')
param ladder array = []

@description('App settings, by name; they come before those set here.')
param appSettings object = {}

@description('Spread the plan over availability zones: three instances at least.')
param isZoneRedundant bool = false

@description('Keep storage and vault on a virtual network.')
param isPrivate bool = false

@description('Address or range (CIDR) from which packages are uploaded while storage is private; empty: none.')
param uploadFrom string = ''

@description('Entra application that callers of the API sign in to; empty: function keys alone.')
param apiClientId string = ''

@description('Origins whose pages may call the API from a browser, such as https://shop.example; none: those of the app itself.')
param allowedOrigins array = []

@description('Share of requests that must keep RECSERVE_SLO_MS.')
param sloShare string = '0.99'

@description('Share of requests that may wait for a starting process within an hour.')
param coldShare string = '0.02'

@description('Share of requests that may be shed within a quarter of an hour.')
param shedShare string = '0.05'

@description('What a month may cost, in the currency of the bill.')
@minValue(1)
param monthlyBudget int = 400

@description('First day of the budget, the first of a month; Azure refuses to change it later. Empty: this month.')
param budgetStart string = ''

@description('Leave it: parameters alone know the date.')
param thisMonth string = utcNow('yyyy-MM-01')

@description('Telemetry a day, in GB; beyond, it is dropped.')
@minValue(1)
param dailyCapGb int = 2

@description('How long telemetry is kept, in days.')
@minValue(30)
@maxValue(730)
param retentionDays int = 90

@description('App roles of Entra that may look at the console, with commas between.')
param consoleRoles string = 'Recserve.Operator'

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName, app: 'recserve' }
var budgetFrom = empty(budgetStart) ? thisMonth : budgetStart
var sloMs = contains(appSettings, 'RECSERVE_SLO_MS') ? appSettings.RECSERVE_SLO_MS : '25'
var endpointTargets = [
  { name: 'host-blob', service: 'blob', storage: 'host' }
  { name: 'host-table', service: 'table', storage: 'host' }
  { name: 'host-queue', service: 'queue', storage: 'host' }
  { name: 'data-blob', service: 'blob', storage: 'data' }
  { name: 'data-table', service: 'table', storage: 'data' }
  { name: 'vault', service: 'vault', storage: '' }
]

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  scope: group
  name: 'identities'
  params: { token: token, location: location, tags: tags }
}

module network 'modules/network.bicep' = if (isPrivate) {
  scope: group
  name: 'network'
  params: { token: token, location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  name: 'monitoring'
  params: {
    token: token
    location: location
    tags: tags
    dailyCapGb: dailyCapGb
    retentionDays: retentionDays
    appPrincipalId: identities.outputs.appPrincipalId
    consolePrincipalId: identities.outputs.consolePrincipalId
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  scope: group
  name: 'host-storage'
  params: {
    name: 'sthost${token}'
    location: location
    tags: tags
    isZoneRedundant: isZoneRedundant
    isPrivate: isPrivate
    appPrincipalId: identities.outputs.appPrincipalId
  }
}

module dataStorage 'modules/data-storage.bicep' = {
  scope: group
  name: 'data-storage'
  params: {
    name: 'stdata${token}'
    location: location
    tags: tags
    isZoneRedundant: isZoneRedundant
    isPrivate: isPrivate
    uploadFrom: uploadFrom
    appPrincipalId: identities.outputs.appPrincipalId
    deployerId: deployerId
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  name: 'vault'
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    isPrivate: isPrivate
    uploadFrom: uploadFrom
    consolePrincipalId: identities.outputs.consolePrincipalId
    deployerId: deployerId
  }
}

module endpoints 'modules/private-endpoint.bicep' = [
  for target in (isPrivate ? endpointTargets : []): {
    scope: group
    name: 'endpoint-${target.name}'
    params: {
      name: 'pe-${target.name}-${token}'
      location: location
      tags: tags
      subnetId: isPrivate ? network.outputs.endpointSubnetId : ''
      zoneId: isPrivate ? network.outputs.zoneIds[target.service] : ''
      service: target.service
      targetId: target.storage == 'host' ? hostStorage.outputs.id : target.storage == 'data' ? dataStorage.outputs.id : vault.outputs.id
    }
  }
]

module plan 'modules/plan.bicep' = {
  scope: group
  name: 'plan'
  params: {
    name: 'plan-${token}'
    location: location
    tags: tags
    sku: sku
    minimumElasticInstanceCount: minimumElasticInstanceCount
    maximumElasticWorkerCount: maximumElasticWorkerCount
    isZoneRedundant: isZoneRedundant
  }
}

module app 'modules/function-app.bicep' = {
  scope: group
  name: 'function-app'
  dependsOn: [endpoints]
  params: {
    name: 'func-${token}'
    location: location
    tags: tags
    planId: plan.outputs.id
    identityId: identities.outputs.appId
    identityClientId: identities.outputs.appClientId
    insightsName: monitoring.outputs.insightsName
    hostStorageName: hostStorage.outputs.name
    packageUrl: '${dataStorage.outputs.packagesUrl}/recserve.zip'
    modelsUrl: dataStorage.outputs.modelsUrl
    tablesUrl: dataStorage.outputs.tablesUrl
    minimumElasticInstanceCount: minimumElasticInstanceCount
    preWarmedInstanceCount: preWarmedInstanceCount
    functionAppScaleLimit: functionAppScaleLimit
    ladder: ladder
    appSettings: appSettings
    apiClientId: apiClientId
    allowedOrigins: allowedOrigins
    subnetId: isPrivate ? network.outputs.appSubnetId : ''
  }
}

module console 'modules/console.bicep' = {
  scope: group
  name: 'console'
  dependsOn: [endpoints]
  params: {
    token: token
    location: location
    tags: tags
    identityId: identities.outputs.consoleId
    identityClientId: identities.outputs.consoleClientId
    vaultUri: vault.outputs.uri
    workspaceName: environmentName
    workspaceCustomerId: monitoring.outputs.workspaceCustomerId
    apiUrl: 'https://${app.outputs.hostName}/api'
    roles: consoleRoles
    sloMs: sloMs
    sloShare: sloShare
    subnetId: isPrivate ? network.outputs.consoleSubnetId : ''
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  name: 'alerts'
  params: {
    token: token
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    consoleUrl: 'https://${console.outputs.hostName}'
    email: alertEmail
    sloMs: sloMs
    sloShare: sloShare
    coldShare: coldShare
    shedShare: shedShare
    monthlyBudget: monthlyBudget
    budgetStart: budgetFrom
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  name: 'workbook'
  params: {
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    consoleUrl: 'https://${console.outputs.hostName}'
    sloMs: sloMs
  }
}

output RECSERVE_GROUP string = group.name
output RECSERVE_APP string = app.outputs.name
output RECSERVE_API_URL string = 'https://${app.outputs.hostName}/api'
output RECSERVE_PLAN string = plan.outputs.name
output RECSERVE_CONSOLE string = console.outputs.name
output RECSERVE_CONSOLE_URL string = 'https://${console.outputs.hostName}'
output RECSERVE_WORKSPACE_ID string = monitoring.outputs.workspaceCustomerId
output RECSERVE_DATA_ACCOUNT string = dataStorage.outputs.name
output RECSERVE_MODELS_URL string = dataStorage.outputs.modelsUrl
output RECSERVE_VAULT string = vault.outputs.name
output RECSERVE_BUDGET_START string = budgetFrom
output RECSERVE_WORKBOOK_URL string = workbook.outputs.url
