// Packages, models and users' histories. The app reads the first two and writes the last.
param name string
param location string
param tags object
param isZoneRedundant bool
param isPrivate bool
param uploadFrom string
param appPrincipalId string

@description('Object id of a user; empty: nobody uploads.')
param deployerId string

var blobReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1' // Storage Blob Data Reader
var blobContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
var tableContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor

module account 'account.bicep' = {
  name: '${name}-account'
  params: {
    name: name
    location: location
    tags: tags
    isZoneRedundant: isZoneRedundant
    isPrivate: isPrivate
    uploadFrom: uploadFrom
  }
}

resource made 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: name
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: made
  name: 'default'
  dependsOn: [account]
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for container in ['packages', 'models']: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-01-01' = {
  parent: made
  name: 'default'
  dependsOn: [account]
}

resource users 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-01-01' = {
  parent: tables
  name: 'recserveusers'
}

resource reads 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, number) in ['packages', 'models']: {
    scope: containers[number]
    name: guid(resourceGroup().id, name, container, appPrincipalId, blobReader)
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobReader)
    }
  }
]

resource writes 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: users
  name: guid(resourceGroup().id, name, 'recserveusers', appPrincipalId, tableContributor)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', tableContributor)
  }
}

resource uploads 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployerId)) {
  scope: made
  name: guid(resourceGroup().id, name, deployerId, blobContributor)
  dependsOn: [account]
  properties: {
    principalId: deployerId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
  }
}

output id string = account.outputs.id
output name string = account.outputs.name
output packagesUrl string = '${account.outputs.blobUrl}packages'
output modelsUrl string = '${account.outputs.blobUrl}models'
output tablesUrl string = account.outputs.tablesUrl
