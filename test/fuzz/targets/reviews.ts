import fc from 'fast-check'
import { parseVerdicts } from '../../../dispatcher/review.js'
import { checkReason, parseDecision, parseDecisionResult, parseHeld, printDecision, printDecisionResult, printHeld } from '../../../protocol/held.js'
import { bytes, id, text, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const heldId = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 32 })
const held = fc.array(fc.record({ id: heldId, videoId, authorId: text, content: text, heldAt: fc.nat() }), { maxLength: 4 }).map(printHeld)
const decision = fc
  .record({ actorId: text, decision: fc.oneof(fc.constant({ kind: 'approve' as const }), fc.record({ kind: fc.constant('refuse' as const), reason: text })), leftMs: fc.nat() })
  .map(printDecision)
const decided = fc.oneof(fc.record({ id }), fc.constant({ refused: true as const })).map(printDecisionResult)
const verdicts = fc.array(fc.record({ verdict: fc.constantFrom('publish', 'hold', 'refuse'), reason: text }), { maxLength: 4 }).map(verdicts => JSON.stringify({ verdicts }))

const WORDS = ['{"verdicts":[]}', '"verdict":"refuse"', '"reason":null', '"reason":"\\n"', '{"held":[]}', '"decision":"approve"', '"refused":true', '"__proto__":', 'null', '[[[[[[[[', '1e999', '-0']

export const reviews: Target = {
  name: 'reviews',
  what: 'a review\'s verdicts, held comments, and decisions about them',
  cases: 3_000,
  inputs: hostile(fc.oneof(held, decision, decided, verdicts).map(bytes), WORDS),
  open: () => ({
    check(input) {
      const list = readOrRefuse(() => printHeld(parseHeld(input)), 'LiveError')
      if (list !== undefined) must(printHeld(parseHeld(Buffer.from(list))) === list, 'held comments are read otherwise once they were printed')
      const request = readOrRefuse(() => printDecision(parseDecision(input)), 'LiveError')
      if (request !== undefined) must(printDecision(parseDecision(Buffer.from(request))) === request, 'a decision is read otherwise once it was printed')
      const result = readOrRefuse(() => printDecisionResult(parseDecisionResult(input)), 'LiveError')
      if (result !== undefined) must(printDecisionResult(parseDecisionResult(Buffer.from(result))) === result, 'a result is read otherwise once it was printed')
      const said = readOrRefuse(() => parseVerdicts(input.toString(), 2), 'Error')
      if (said === undefined) return
      must(said.length === 2, 'each comment has its verdict')
      for (const verdict of said) if (verdict?.kind === 'refuse' && verdict.reason !== undefined) must(checkReason(verdict.reason) === verdict.reason, 'a reason can be shown')
    },
  }),
}
