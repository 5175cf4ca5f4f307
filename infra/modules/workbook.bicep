// The service in the portal, for those who have no console at hand: the console's questions, and the way to it.
param location string
param tags object
param workspaceId string
param consoleUrl string
param sloMs string

var declaration = 'declare query_parameters('
var lets = join([
  'let interval = 5m;'
  'let function_name = "recommend";'
  'let variant = "";'
  'let version = "";'
  'let slo_ms = real(${sloMs});'
  'let growth = 1.05;'
], '\n')
var requestsFile = last(split(loadTextContent('../../console/queries/requests.kql'), declaration))
var percentilesFile = last(split(loadTextContent('../../console/queries/latency_percentiles.kql'), declaration))
var coldFile = last(split(loadTextContent('../../console/queries/cold_start_impact.kql'), declaration))
var refusalsFile = last(split(loadTextContent('../../console/queries/refusals.kql'), declaration))
var requestsBody = substring(requestsFile, indexOf(requestsFile, ');') + 2)
var percentilesBody = substring(percentilesFile, indexOf(percentilesFile, ');') + 2)
var coldBody = substring(coldFile, indexOf(coldFile, ');') + 2)
var refusalsBody = substring(refusalsFile, indexOf(refusalsFile, ');') + 2)

var questions = [
  {
    title: 'Requests: good, late, shed, failed'
    chart: 'timechart'
    query: '${lets}${requestsBody}| project interval_start, n_good, n_over, n_shed, n_failed'
  }
  {
    title: 'Latency of the answered, ms'
    chart: 'table'
    query: '${lets}${percentilesBody}'
  }
  {
    title: 'Cold starts, and the requests that waited for one'
    chart: 'timechart'
    query: '${lets}${coldBody}| project interval_start, n_cold_starts, n_impacted'
  }
  {
    title: 'Not answered, and why'
    chart: 'table'
    query: '${lets}${refusalsBody}'
  }
]

var introduction = {
  type: 1
  name: 'introduction'
  content: { json: '# Recserve\n\nThe [console](${consoleUrl}) answers the same questions, and why.' }
}
var range = {
  type: 9
  name: 'range'
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: guid(resourceGroup().id, 'range')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        type: 4
        isRequired: true
        value: { durationMs: 14400000 }
        typeSettings: { selectableValues: [{ durationMs: 3600000 }, { durationMs: 14400000 }, { durationMs: 86400000 }] }
      }
    ]
  }
}
var charts = [
  for question in questions: {
    type: 3
    name: question.title
    content: {
      version: 'KqlItem/1.0'
      title: question.title
      query: question.query
      size: 0
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
      visualization: question.chart
      timeContextFromParameter: 'TimeRange'
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'recserve')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Recserve'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([introduction, range], charts)
      fallbackResourceIds: [workspaceId]
    })
  }
}

output url string = '${environment().portal}/#@${tenant().tenantId}/resource${workbook.id}/workbook'
