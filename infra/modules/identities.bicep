// Who the app and the console are to other resources. Neither has a password.
param token string
param location string
param tags object

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-app-${token}'
  location: location
  tags: tags
}

resource console 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-console-${token}'
  location: location
  tags: tags
}

output appId string = app.id
output appClientId string = app.properties.clientId
output appPrincipalId string = app.properties.principalId
output consoleId string = console.id
output consoleClientId string = console.properties.clientId
output consolePrincipalId string = console.properties.principalId
