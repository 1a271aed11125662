import t from 'tap'
import { check, type Stored } from './check.js'
import { Ledger, type ActNote } from './ledger.js'
import { deletedText, newNotes, pinnedText, TOMBSTONE, type ViewerNotes } from './notes.js'

const VIDEO = 'video'

/** Comments 1 to 5, all acknowledged and stored, and one that stayed until the end and saw them all. */
function good(): { ledger: Ledger; history: Stored[]; notes: ViewerNotes } {
  const ledger = new Ledger()
  const history: Stored[] = []
  const notes = newNotes('viewer-1', VIDEO)
  notes.start = 0
  for (let id = 1; id <= 5; id++) {
    const post = ledger.add(VIDEO, `post-${id}`, `post-${id}`)
    post.tries.push({ at: 0, gateway: 'gateway-1', outcome: '201' })
    ledger.acknowledge(post, id)
    history.push({ id, content: post.content })
    see(notes, id)
  }
  return { ledger, history, notes }
}

function see(notes: ViewerNotes, id: number, content = `post-${id}`): void {
  notes.ids.push(id)
  notes.contents.push(content)
  notes.times.push(0)
}

/** What is found when `spoil` has changed the good run. */
function found(spoil: (run: ReturnType<typeof good>) => void): string[] {
  const run = good()
  spoil(run)
  return check(run.ledger, new Map([[VIDEO, run.history]]), [run.notes]).violations.map(({ id, text }) => `${id ?? '-'}: ${text}`)
}

t.test('a run in which all went well has no violation, and counts what it checked', t => {
  const { ledger, history, notes } = good()
  t.same(check(ledger, new Map([[VIDEO, history]]), [notes]), { violations: [], deliveries: 5, gaps: 0, inGaps: 0, stored: 5 })
  t.end()
})

t.test('each promise that is not kept is found, and named', t => {
  const drop = (notes: ViewerNotes, at: number) => [notes.ids, notes.contents, notes.times].forEach(list => list.splice(at, 1))
  const cases: [what: string, spoil: (run: ReturnType<typeof good>) => void, expected: string[]][] = [
    ['a comment missing in the middle', ({ notes }) => drop(notes, 2), ['3: it never came, and later ones did']],
    ['the last comment missing', ({ notes }) => drop(notes, 4), ['5: it never came; the last that came is 4']],
    ['a comment twice', ({ notes }) => see(notes, 5), ['5: it came twice']],
    ['two comments the wrong way round', ({ notes }) => void notes.ids.splice(2, 2, 4, 3) + String(notes.contents.splice(2, 2, 'post-4', 'post-3')), ['3: it came after 4']],
    ['a comment that nobody posted', ({ notes }) => see(notes, 6, 'nobody'), ['6: it came and is not in history']],
    ['another content', ({ notes }) => (notes.contents[0] = 'post-2'), ['1: it came with another content than it has in history']],
    ['an acknowledged comment that is not stored', ({ history }) => history.splice(4, 1), ['5: post-5 was acknowledged and is not in history', '5: it came and is not in history']],
    ['a post that is stored twice', ({ history, notes }) => (history.push({ id: 6, content: 'post-5' }), see(notes, 6, 'post-5')), ['6: history has post-5 twice']],
    ['history that nobody posted', ({ history, notes }) => (history.push({ id: 6, content: 'nobody' }), see(notes, 6, 'nobody')), ['6: history has it and nobody posted it']],
    ['a gap that names what came', ({ notes }) => notes.gaps.push({ from: 3, to: 4, at: 0 }), ['4: the gap from 3 to 4 names it and it came']],
    ['a viewer that was never ready', ({ notes }) => ((notes.start = undefined), (notes.ids.length = 0)), ['-: it was never ready']],
    ['an offence seen as it happened', ({ notes }) => notes.offences.push('a second ready on one connection'), ['-: a second ready on one connection']],
  ]
  for (const [what, spoil, expected] of cases) t.same(found(spoil), expected, what)
  t.end()
})

t.test('what is no violation is taken for none', t => {
  const cases: [what: string, spoil: (run: ReturnType<typeof good>) => void][] = [
    ['a viewer that joined later is owed what follows', ({ notes }) => ((notes.start = 2), [notes.ids, notes.contents, notes.times].forEach(list => list.splice(0, 2)))],
    ['one that left is owed no more', ({ notes }) => ((notes.left = true), [notes.ids, notes.contents, notes.times].forEach(list => list.splice(3)))],
    ['a gap names what did not come', ({ notes }) => (notes.gaps.push({ from: 2, to: 4, at: 0 }), [notes.ids, notes.contents, notes.times].forEach(list => list.splice(2, 2)))],
    ['a post whose answer was lost may be stored', ({ ledger, history, notes }) => (ledger.add(VIDEO, 'post-6', 'post-6').tries.push({ at: 0, gateway: 'gateway-1', outcome: 'ECONNRESET' }), history.push({ id: 6, content: 'post-6' }), see(notes, 6))],
    ['and need not have been seen by the end', ({ ledger, history }) => (ledger.add(VIDEO, 'post-6', 'post-6').tries.push({ at: 0, gateway: 'gateway-1', outcome: 'ECONNRESET' }), history.push({ id: 6, content: 'post-6' }))],
    ['or not be stored', ({ ledger }) => ledger.add(VIDEO, 'post-6', 'post-6')],
  ]
  for (const [what, spoil] of cases) t.same(found(spoil), [], what)
  t.end()
})

/** Comment 3 was deleted by entry 6, which everybody saw. */
function deleted({ ledger, history, notes }: ReturnType<typeof good>): ActNote {
  const note = ledger.addAct(VIDEO, 'act-1', { type: 'deleted', target: 3 })
  ledger.done(note, 6)
  history[2] = { id: 3, content: '', deleted: true }
  see(notes, 6, deletedText(3))
  return note
}

t.test('acts are owed as comments are, and a deleted comment is shown by nobody', t => {
  const cases: [what: string, spoil: (run: ReturnType<typeof good>) => void, expected: string[]][] = [
    ['a comment that was seen before it was deleted', run => void deleted(run), []],
    ['a tombstone in its place', run => void (deleted(run), (run.notes.contents[2] = TOMBSTONE)), []],
    ['a pin that shows nothing any more', run => {
      ledgerPin(run, 3, 7)
      deleted(run)
      see(run.notes, 7, pinnedText(undefined))
    }, []],
    ['an act whose answer was lost', ({ ledger, notes }) => {
      ledger.addAct(VIDEO, 'act-3', { type: 'pinned', target: 2 })
      see(notes, 6, pinnedText(2))
    }, []],
    ['an act that nobody meant to do', ({ notes }) => see(notes, 6, pinnedText(2)), ['6: it came and is not in history']],
    ['an act that did not come', run => {
      deleted(run)
      run.notes.ids.pop()
    }, ['6: it never came; the last that came is 5']],
    ['an act that is shown as another', run => {
      deleted(run)
      run.notes.contents[5] = deletedText(4)
    }, ['6: it came with another content than it has in history']],
    ['a pin of another comment', run => {
      ledgerPin(run, 3, 6)
      see(run.notes, 6, pinnedText(4))
    }, ['6: it came with another content than it has in history']],
    ['a text that is still in history', run => {
      deleted(run)
      run.history[2] = { id: 3, content: 'post-3' }
    }, ['3: act-1 deleted it and history has its text']],
    ['a tombstone that nobody made', ({ history, notes }) => {
      history[2] = { id: 3, content: '', deleted: true }
      notes.contents[2] = TOMBSTONE
    }, ['3: history has it as deleted and nobody deleted it', '3: it came with another content than it has in history']],
    ['a text that came by a connection of long after', run => {
      const { doneAt } = deleted(run)
      run.notes.connections.push({ at: doneAt! + 40_001, gateway: 'gateway-1', pid: 1, cursor: '', readyAt: undefined, endedAt: undefined, end: undefined })
      run.notes.times.fill(doneAt! + 40_002)
    }, ['3: its text came by a connection of long after act-1 deleted it']],
  ]
  for (const [what, spoil, expected] of cases) t.same(found(spoil), expected, what)
  t.end()
})

function ledgerPin({ ledger }: ReturnType<typeof good>, target: number, id: number): void {
  ledger.done(ledger.addAct(VIDEO, 'act-2', { type: 'pinned', target }), id)
}

t.test('a post that was refused, or answered 503 each time, must not be stored; of any other answer but 201 nobody knows', t => {
  const stored = (...outcomes: string[]) =>
    found(({ ledger, history, notes }) => {
      const { tries } = ledger.add(VIDEO, 'post-6', 'post-6')
      for (const outcome of outcomes) tries.push({ at: 0, gateway: 'gateway-1', outcome })
      history.push({ id: 6, content: 'post-6' })
      see(notes, 6)
    })
  const refused = ['6: post-6 was refused and is stored']
  t.same(stored('400 BAD_COMMENT'), refused)
  t.same(stored('503 UNAVAILABLE', '503 UNAVAILABLE'), refused)
  t.same(stored('503 UNAVAILABLE', '504 OUTCOME_UNKNOWN'), [])
  t.same(stored('503 UNAVAILABLE', 'ECONNRESET'), [])
  t.end()
})

const ACROSS = { homeOf: () => 'west', cutMs: 60_000 }

/** What is found where there are two clusters. */
function foundAcross(spoil: (run: ReturnType<typeof good>) => void): string[] {
  const run = good()
  spoil(run)
  return check(run.ledger, new Map([[VIDEO, run.history]]), [run.notes], ACROSS).violations.map(({ id, text }) => `${id ?? '-'}: ${text}`)
}

t.test('a post is answered by the rules: only another cluster than its home may say that the home cannot be reached', t => {
  const answered = (gateway: string, outcome: string) => ({ ledger }: ReturnType<typeof good>) => void ledger.add(VIDEO, 'post-6', 'post-6').tries.push({ at: 0, gateway, outcome })
  for (const outcome of ['503 HOME_UNAVAILABLE', '503 UNAVAILABLE', '504 OUTCOME_UNKNOWN', 'ECONNRESET']) t.same(foundAcross(answered('east/gateway-1', outcome)), [], outcome)
  t.same(foundAcross(answered('west/gateway-1', '503 HOME_UNAVAILABLE')), ['-: post-6 was answered 503 HOME_UNAVAILABLE by west/gateway-1, which is at home'])
  t.same(found(answered('gateway-1', '503 HOME_UNAVAILABLE')), ['-: post-6 was answered 503 HOME_UNAVAILABLE by gateway-1, which is at home'])
  t.same(found(answered('gateway-1', '500 INTERNAL')), ['-: post-6 was answered 500 INTERNAL by gateway-1, which says nothing of what became of it'])
  t.end()
})

t.test('a deleted text may be shown in another cluster for as long as the line may be cut, and not at home', t => {
  const shownAt = (cluster: string, afterMs: number) => (run: ReturnType<typeof good>) => {
    const { doneAt } = deleted(run)
    run.notes.connections.push({ at: doneAt! + afterMs, gateway: `${cluster}/gateway-1`, pid: 1, cursor: '', readyAt: undefined, endedAt: undefined, end: undefined })
    run.notes.times.fill(doneAt! + afterMs + 1)
  }
  const late = ['3: its text came by a connection of long after act-1 deleted it']
  t.same(foundAcross(shownAt('east', 99_000)), [])
  t.same(foundAcross(shownAt('east', 101_000)), late)
  t.same(foundAcross(shownAt('west', 99_000)), late)
  t.end()
})
