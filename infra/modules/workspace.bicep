// The Log Analytics workspace; monitoring.bicep deploys it twice, since it and its rule of transformations name each other.
param name string
param location string
param tags object
param dailyCapGb int
param retentionDays int

@description('Data collection rule that transforms what is stored; empty: none yet.')
param ruleId string = ''

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGb }
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
    defaultDataCollectionRuleResourceId: empty(ruleId) ? null : ruleId
  }
}

output id string = workspace.id
output customerId string = workspace.properties.customerId
