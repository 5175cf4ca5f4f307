// A Premium plan on Linux. What belongs to one app of it stands in function-app.bicep.
param name string
param location string
param tags object
param sku string
param minimumElasticInstanceCount int
param maximumElasticWorkerCount int
param isZoneRedundant bool

var leastInZones = 3
var capacity = isZoneRedundant ? max(minimumElasticInstanceCount, leastInZones) : minimumElasticInstanceCount

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'elastic'
  sku: { name: sku, tier: 'ElasticPremium', capacity: capacity }
  properties: {
    reserved: true
    elasticScaleEnabled: true
    maximumElasticWorkerCount: max(maximumElasticWorkerCount, capacity)
    zoneRedundant: isZoneRedundant
  }
}

output id string = plan.id
output name string = plan.name
