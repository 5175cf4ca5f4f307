// The Streamlit console on App Service. It shows nothing until sign-in is configured: console/access.py.
param token string
param location string
param tags object
param identityId string
param identityClientId string
param vaultUri string
param workspaceName string
param workspaceCustomerId string
param apiUrl string
param roles string
param sloMs string
param sloShare string

@description('Empty: the console is on no virtual network.')
param subnetId string

var isPrivate = !empty(subnetId)
var secretsFile = '/tmp/streamlit-secrets.toml'

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-console-${token}'
  location: location
  tags: tags
  kind: 'linux'
  sku: { name: 'B1', tier: 'Basic', capacity: 1 }
  properties: { reserved: true }
}

resource console 'Microsoft.Web/sites@2024-11-01' = {
  name: 'console-${token}'
  location: location
  tags: tags
  kind: 'app,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    reserved: true
    httpsOnly: true
    clientAffinityEnabled: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: isPrivate ? subnetId : null
    outboundVnetRouting: { allTraffic: isPrivate }
    siteConfig: {
      linuxFxVersion: 'PYTHON|3.13'
      appCommandLine: 'sh console-start.sh'
      alwaysOn: true
      healthCheckPath: '/_stcore/health'
      webSocketsEnabled: true
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      remoteDebuggingEnabled: false
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: console
  name: 'appsettings'
  properties: {
    SCM_DO_BUILD_DURING_DEPLOYMENT: 'true'
    WEBSITES_PORT: '8000'
    AZURE_CLIENT_ID: identityClientId
    RECSERVE_API_URL: apiUrl
    RECSERVE_API_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/api-key)'
    RECSERVE_WORKSPACES: '${workspaceName}=${workspaceCustomerId}'
    RECSERVE_CONSOLE_ROLES: roles
    RECSERVE_SLO_MS: sloMs
    RECSERVE_SLO_SHARE: sloShare
    STREAMLIT_SECRETS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/streamlit)'
    STREAMLIT_SECRETS_FILES: secretsFile
  }
}

resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = [
  for way in ['ftp', 'scm']: {
    parent: console
    name: way
    properties: { allow: false }
  }
]

output name string = console.name
output hostName string = console.properties.defaultHostName
