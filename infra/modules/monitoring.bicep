// Where telemetry goes, who may send it and who may read it. Keys open nothing: both ask for an identity.
param token string
param location string
param tags object
param dailyCapGb int
param retentionDays int
param appPrincipalId string
param consolePrincipalId string

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
var logsReader = '73c42c96-874c-492b-b04d-ab87d138a893' // Log Analytics Reader
var workspaceName = 'log-${token}'

module workspace 'workspace.bicep' = {
  name: 'workspace'
  params: {
    name: workspaceName
    location: location
    tags: tags
    dailyCapGb: dailyCapGb
    retentionDays: retentionDays
  }
}

// The host writes each request's path, and with it ids of users, to AppRequests.Url (docs/operate.md).
resource rule 'Microsoft.Insights/dataCollectionRules@2022-06-01' = {
  name: 'dcr-${token}'
  location: location
  tags: tags
  kind: 'WorkspaceTransforms'
  properties: {
    dataSources: {}
    destinations: { logAnalytics: [{ name: 'workspace', workspaceResourceId: workspace.outputs.id }] }
    dataFlows: [
      {
        streams: ['Microsoft-Table-AppRequests']
        destinations: ['workspace']
        transformKql: 'source | extend Url = ""'
      }
    ]
  }
}

module transformed 'workspace.bicep' = {
  name: 'workspace-transformed'
  params: {
    name: workspaceName
    location: location
    tags: tags
    dailyCapGb: dailyCapGb
    retentionDays: retentionDays
    ruleId: rule.id
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: transformed.outputs.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
    DisableIpMasking: false
  }
}

resource made 'Microsoft.OperationalInsights/workspaces@2025-02-01' existing = {
  name: workspaceName
}

resource sends 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, appPrincipalId, metricsPublisher)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: made
  name: guid(resourceGroup().id, workspaceName, consolePrincipalId, logsReader)
  dependsOn: [transformed]
  properties: {
    principalId: consolePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logsReader)
  }
}

output workspaceId string = transformed.outputs.id
output workspaceCustomerId string = transformed.outputs.customerId
output insightsName string = insights.name
