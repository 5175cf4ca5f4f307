// What the Functions host keeps for itself: its keys, leases of timers, diagnostic events.
param name string
param location string
param tags object
param isZoneRedundant bool
param isPrivate bool
param appPrincipalId string

// What the host needs for a timer and its keys [Connecting to host storage with an identity].
var roles = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
]

module account 'account.bicep' = {
  name: '${name}-account'
  params: {
    name: name
    location: location
    tags: tags
    isZoneRedundant: isZoneRedundant
    isPrivate: isPrivate
    uploadFrom: ''
  }
}

resource made 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: name
}

resource grants 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in roles: {
    scope: made
    name: guid(resourceGroup().id, name, appPrincipalId, role)
    dependsOn: [account]
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

output id string = account.outputs.id
output name string = account.outputs.name
