// The app. Its package comes from a blob that its identity reads: no content share, so no storage key.
param name string
param location string
param tags object
param planId string
param identityId string
param identityClientId string
param insightsName string
param hostStorageName string
param packageUrl string
param modelsUrl string
param tablesUrl string
param minimumElasticInstanceCount int
param preWarmedInstanceCount int
param functionAppScaleLimit int
param ladder array
param appSettings object

@description('Empty: callers need a function key, and nothing else.')
param apiClientId string
param allowedOrigins array

@description('Empty: the app is on no virtual network.')
param subnetId string

var isPrivate = !empty(subnetId)

// Its connection string says where to send, not who may: keys are off, the identity signs.
resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

var platformSettings = {
  AzureWebJobsStorage__accountName: hostStorageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  WEBSITE_RUN_FROM_PACKAGE: packageUrl
  WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID: identityId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'false'
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '4194304' // no request of ours has more than 2 MiB; the host's own limit is 100
  AZURE_CLIENT_ID: identityClientId
}

var ownSettings = {
  RECSERVE_MODELS_URL: modelsUrl
  RECSERVE_STATE_TABLES_URL: tablesUrl
  RECSERVE_LADDER: join(ladder, ',')
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: planId
    reserved: true
    httpsOnly: true
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: isPrivate ? subnetId : null
    outboundVnetRouting: { allTraffic: isPrivate }
    siteConfig: {
      linuxFxVersion: 'PYTHON|3.13'
      minimumElasticInstanceCount: minimumElasticInstanceCount
      preWarmedInstanceCount: preWarmedInstanceCount
      functionAppScaleLimit: functionAppScaleLimit
      healthCheckPath: '/api/health/live'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
      cors: { allowedOrigins: allowedOrigins }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(platformSettings, ownSettings, appSettings)
}

resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = [
  for way in ['ftp', 'scm']: {
    parent: app
    name: way
    properties: { allow: false }
  }
]

resource authentication 'Microsoft.Web/sites/config@2024-11-01' = if (!empty(apiClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: ['/api/health/live', '/api/health/ready']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: apiClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: { allowedAudiences: [apiClientId, 'api://${apiClientId}'] }
      }
    }
    httpSettings: { requireHttps: true }
    login: { tokenStore: { enabled: false } }
  }
}

output name string = app.name
output hostName string = app.properties.defaultHostName
