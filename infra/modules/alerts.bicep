// What wakes somebody up. The questions are the console's own files; here stand only their parameters and what is too much.
param token string
param location string
param tags object
param workspaceId string
param consoleUrl string

@description('Empty: alerts fire unheard, and no budget is kept.')
param email string
param sloMs string
param sloShare string
param coldShare string
param shedShare string
param monthlyBudget int
param budgetStart string

@description('Requests below which a share says nothing.')
param leastRequests int = 100

// Azure Monitor takes no `declare query_parameters`: it becomes `let` statements, as in console/queries/__init__.py.
var declaration = 'declare query_parameters('
var requestsFile = last(split(loadTextContent('../../console/queries/requests.kql'), declaration))
var coldFile = last(split(loadTextContent('../../console/queries/cold_start_impact.kql'), declaration))
var requestsBody = substring(requestsFile, indexOf(requestsFile, ');') + 2)
var coldBody = substring(coldFile, indexOf(coldFile, ');') + 2)

var common = join([
  'let interval = 1m;'
  'let function_name = "recommend";'
  'let variant = "";'
  'let version = "";'
  'let slo_ms = real(${sloMs});'
  'let slo_share = real(${sloShare});'
  'let least_requests = ${leastRequests};'
], '\n')

// Google, The Site Reliability Workbook, chapter 5: an hour that eats two percent of a month's budget, six that eat five,
// and that still goes on. The console's marks are the same (console/analysis/slo.py).
var burnTail = join([
  '| summarize'
  '    n_all = sum(n_requests),'
  '    n_missed = sum(n_requests - n_good),'
  '    n_lately = sumif(n_requests, interval_start >= ago(lately)),'
  '    n_missed_lately = sumif(n_requests - n_good, interval_start >= ago(lately))'
  '| extend'
  '    burn = todouble(n_missed) / n_all / (1 - slo_share),'
  '    burn_lately = todouble(n_missed_lately) / n_lately / (1 - slo_share)'
  '| where n_all >= least_requests and burn >= page_at and burn_lately >= page_at'
], '\n')
var shedTail = join([
  '| summarize n_all = sum(n_requests), n_shed = sum(n_shed)'
  '| extend shed_share = todouble(n_shed) / n_all'
  '| where n_all >= least_requests and shed_share >= real(${shedShare})'
], '\n')
var coldTail = join([
  '| summarize n_all = sum(n_requests), n_impacted = sum(n_impacted), n_cold_starts = sum(n_cold_starts)'
  '| extend cold_share = todouble(n_impacted) / n_all'
  '| where n_all >= least_requests and cold_share >= real(${coldShare})'
], '\n')

var rules = [
  {
    name: 'burn-fast'
    says: 'The error budget burns at 14.4 times the rate that it lasts for, in the last hour and the last five minutes.'
    severity: 1
    window: 'PT1H'
    query: '${common}\nlet lately = 5m;\nlet page_at = 14.4;${requestsBody}${burnTail}'
  }
  {
    name: 'burn-slow'
    says: 'The error budget burns at 6 times the rate that it lasts for, in the last six hours and the last half.'
    severity: 2
    window: 'PT6H'
    query: '${common}\nlet lately = 30m;\nlet page_at = 6.0;${requestsBody}${burnTail}'
  }
  {
    name: 'shed-share'
    says: 'A share of ${shedShare} or more of the requests of a quarter of an hour was shed.'
    severity: 2
    window: 'PT15M'
    query: '${common}${requestsBody}${shedTail}'
  }
  {
    name: 'cold-share'
    says: 'A share of ${coldShare} or more of the requests of an hour waited for a starting process.'
    severity: 3
    window: 'PT1H'
    query: '${common}${coldBody}${coldTail}'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${token}'
  location: 'Global'
  tags: tags
  properties: {
    groupShortName: 'recserve'
    enabled: true
    emailReceivers: empty(email) ? [] : [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'alert-${rule.name}-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Recserve: ${rule.name}'
      description: '${rule.says} ${consoleUrl}'
      severity: rule.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      actions: { actionGroups: [people.id] }
    }
  }
]

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = if (!empty(email)) {
  name: 'budget-${token}'
  properties: {
    category: 'Cost'
    amount: monthlyBudget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetStart }
    notifications: {
      spent: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [email]
        contactGroups: [people.id]
      }
      forecast: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [email]
        contactGroups: [people.id]
      }
    }
  }
}
