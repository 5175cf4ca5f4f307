// A virtual network for what keeps state: the apps go out into it, storage and vault are reached inside it.
param token string
param location string
param tags object

var suffix = environment().suffixes.storage
var zones = {
  blob: 'privatelink.blob.${suffix}'
  table: 'privatelink.table.${suffix}'
  queue: 'privatelink.queue.${suffix}'
  vault: 'privatelink.vaultcore.azure.net'
}
var subnets = [
  { name: 'app', prefix: '10.20.0.0/24', delegation: 'Microsoft.Web/serverFarms' }
  { name: 'console', prefix: '10.20.1.0/26', delegation: 'Microsoft.Web/serverFarms' }
  { name: 'endpoints', prefix: '10.20.2.0/26', delegation: '' }
]

resource network 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/16'] }
    subnets: [
      for subnet in subnets: {
        name: subnet.name
        properties: {
          addressPrefix: subnet.prefix
          privateEndpointNetworkPolicies: 'Disabled'
          delegations: empty(subnet.delegation) ? [] : [{ name: 'web', properties: { serviceName: subnet.delegation } }]
        }
      }
    ]
  }
}

resource privateZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in items(zones): {
    name: zone.value
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, number) in items(zones): {
    parent: privateZones[number]
    name: 'link-${token}'
    location: 'global'
    properties: { registrationEnabled: false, virtualNetwork: { id: network.id } }
  }
]

output appSubnetId string = '${network.id}/subnets/app'
output consoleSubnetId string = '${network.id}/subnets/console'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
output zoneIds object = {
  blob: resourceId('Microsoft.Network/privateDnsZones', zones.blob)
  table: resourceId('Microsoft.Network/privateDnsZones', zones.table)
  queue: resourceId('Microsoft.Network/privateDnsZones', zones.queue)
  vault: resourceId('Microsoft.Network/privateDnsZones', zones.vault)
}
