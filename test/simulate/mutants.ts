import type { Mix } from './mixes.js'

/** A rule of docs/delivery.md taken out of the code: one exact text of a source replaced by another. */
export interface Mutant {
  readonly rule: string
  readonly without: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** Where it should show. */
  readonly mixes: readonly Mix[]
}

export const MUTANTS: readonly Mutant[] = [
  {
    rule: '1', without: 'store before the acknowledgement', file: 'dispatcher/accept.ts', mixes: ['late', 'crash', 'hard'],
    find: '    let outcomes: Outcome[]\n',
    replace: '    let outcomes: Outcome[]\n    const { nextId } = await import("../protocol/id.js")\n    const guessed = clock.wall()\n    for (const { draft, answer } of group) answer({ created: true, comment: { ...draft, id: nextId(guessed, 0), createdAt: guessed } } as never)\n',
  },
  {
    rule: '1', without: 'prev from the store alone (from memory instead)', file: 'dispatcher/dispatcher.ts', mixes: ['strays', 'split', 'hard'],
    find: 'const comment = toWire(stored)',
    replace: 'const comment = { ...toWire(stored), prev: this.#current().recentVideos.get(stored.comment.videoId)?.head ?? stored.prev }',
  },
  { rule: '2', without: 'a hint for what a pipe drops', file: 'dispatcher/pipe.ts', mixes: ['pipe'], find: '> this.#options.maxBytes) this.#keepHint(line)', replace: '> this.#options.maxBytes) void 0' },
  { rule: '2', without: 'the bound on a pipe', file: 'dispatcher/pipe.ts', mixes: ['hard'], find: '> this.#options.maxBytes)', replace: '> Infinity)' },
  { rule: '3', without: 'recent comments that begin anew at a hole', file: 'dispatcher/recent-comments.ts', mixes: ['strays', 'late', 'hard'], find: 'if (comment.prev !== this.head) this.#clear(comment.prev)', replace: '' },
  {
    rule: '4', without: 'the store for a sync that names an id above the head', file: 'dispatcher/sync.ts', mixes: ['strays', 'hard'],
    find: 'return (want ?? 0) <= recent.head && (last === undefined || recent.reaches(last))', replace: 'return last === undefined || last >= recent.floor',
  },
  { rule: '4', without: 'the store for a page from a cursor above the head', file: 'dispatcher/history.ts', mixes: ['strays', 'hard'], find: 'if (cursor !== undefined && cursor > recent.head) return undefined', replace: '' },
  { rule: '5', without: 'any comparison with the store', file: 'dispatcher/sync.ts', mixes: ['strays', 'hard'], find: 'return age <= COMPARED_UNSETTLED_MS ||', replace: 'return true ||' },
  { rule: '5', without: 'the shorter age while ownership is young or another\'s', file: 'dispatcher/sync.ts', mixes: ['strays', 'hard'], find: '(age <= COMPARED_MS && this.#deps.owners.settled(recent.videoId))', replace: 'age <= COMPARED_MS' },
  { rule: '5', without: 'a comparison for the newest page of history', file: 'dispatcher/history.ts', mixes: ['strays', 'hard'], find: 'return this.#deps.clock.now() - recent.comparedAt <= NEWEST_COMPARED_MS', replace: 'return recent.comparedAt > -1' },
  { rule: '6', without: 'a chain without holes', file: 'edge/chain.ts', mixes: ['strays', 'pipe', 'loss'], find: 'if (this.open && comment.prev === this.last) {', replace: 'if (this.open) {' },
  { rule: '6', without: 'dropping what is known', file: 'edge/chain.ts', mixes: ['strays', 'drain', 'hard'], find: "if (this.open && comment.id <= this.last) return 'known'", replace: "if (this.open && comment.id <= this.last) {\n      this.#take(comment)\n      return 'appended'\n    }" },
  { rule: '6', without: 'a sync at a hint', file: 'edge/edge.ts', mixes: ['pipe'], find: 'if (room && room.viewers.size > 0) room.hint(id)', replace: 'if (room && room.viewers.size > 0) void id' },
  { rule: '6', without: 'a want that the store can lower', file: 'edge/chain.ts', mixes: ['foreign'], find: 'if (isFinal) this.want', replace: 'if (this.want === -1) this.want' },
  { rule: '7', without: 'the sync every two seconds', file: 'edge/edge.ts', mixes: ['strays', 'crash', 'hard'], find: 'if (room.viewers.size > 0) this.#syncs.needs(room)', replace: 'if (room.viewers.size > 0) void 0' },
  { rule: '7', without: 'a sync that says "I hold these"', file: 'dispatcher/dispatcher.ts', mixes: ['lag', 'away'], find: 'this.#synced.saw(edge, requests.map(({ videoId }) => videoId))', replace: 'void edge' },
  { rule: '7', without: 'the next dispatcher when one does not answer', file: 'runtime/peers/failover.ts', mixes: ['cut'], find: 'return [...peers.filter(peer => !this.isBackedOff(peer)), ...peers.filter(peer => this.isBackedOff(peer))]', replace: 'return peers' },
  { rule: '8', without: 'history where the buffer does not reach', file: 'edge/replay.ts', mixes: ['crash', 'none'], find: 'if (cursor < base && end < MAX_REPLAY) return undefined', replace: '' },
  { rule: '8', without: 'the cut of a replay at L', file: 'edge/replay.ts', mixes: ['crowd', 'strays'], find: 'const end = after(events, until)', replace: 'const end = after(events, Infinity)' },
  { rule: '9', without: 'waiting at a cursor above L', file: 'edge/room.ts', mixes: ['strays', 'drain', 'hard'], find: 'if (cursor !== undefined && cursor > this.flushed) {', replace: 'if (cursor !== undefined && cursor > Infinity) {' },
  { rule: '9', without: 'joining at L with a foreign cursor', file: 'edge/room.ts', mixes: ['foreign'], find: "if (answer.from === 'store' && !answer.more) this.#refuseForeign", replace: "if (this.videoId === '') this.#refuseForeign" },
  { rule: '10', without: 'nothing more until the socket is writable', file: 'edge/flushes.ts', mixes: ['slow'], find: 'if (viewer.state !== LIVE) return', replace: "if (viewer.state.kind !== 'live') return" },
  { rule: '10', without: 'a writer that knows whether it must wait', file: 'runtime/http/stream.ts', mixes: ['slow'], find: 'if (!awaited) this.blocked = false\n    else if (!moved)', replace: 'if (!moved)' },
  { rule: '10', without: 'catching up when it is', file: 'edge/room.ts', mixes: ['slow'], find: 'if (viewer.state === LIVE) this.#catchUp.advance(viewer)', replace: '' },
  { rule: '11', without: 'a look at each member\'s place', file: 'gateway/group.ts', mixes: ['link', 'strays', 'drain', 'slow', 'hard'], find: 'if (flush.from === cursorAfter && epochAfter <= flush.epoch) {', replace: 'if (epochAfter <= flush.epoch) {' },
  { rule: '11', without: 'a hole that is noticed', file: 'gateway/group.ts', mixes: ['link', 'slow', 'hard'], find: 'if (!passed) break', replace: '' },
  { rule: '11', without: 'skipping what a member has passed', file: 'gateway/group.ts', mixes: ['link', 'strays', 'hard'], find: '(epochAfter === flush.epoch && cursorAfter >= flush.to)', replace: 'false' },
  { rule: '11', without: 'joining again after a hole', file: 'gateway/group.ts', mixes: ['link', 'slow', 'hard'], find: '        this.leave(member)\n        return this.#o.behind(member)', replace: '        member.next = this.end\n        return' },
  { rule: '11', without: 'nothing more for a member whose connection takes nothing', file: 'gateway/group.ts', mixes: ['link', 'slow'], find: 'while (!member.blocked && member.next', replace: 'while (member.next' },
  { rule: '11', without: 'flushes from the ready on', file: 'gateway/join.ts', mixes: ['link', 'strays', 'hard'], find: 'const next = group.end', replace: 'const next = group.end + 1' },
  { rule: '11', without: 'a newcomer left behind whose connection takes nothing', file: 'gateway/join.ts', mixes: ['link', 'slow'], find: 'if (member.blocked) {', replace: 'if (member.blocked && this.number < 0) {' },
  { rule: '11', without: 'another edge when the link is lost', file: 'gateway/link.ts', mixes: ['crash', 'hard'], find: 'for (const member of this.#close()) member.lost(failure)', replace: 'this.#close()' },
  { rule: '11', without: 'a silent link that is left', file: 'gateway/gateway.ts', mixes: ['freeze', 'hard'], find: 'this.links.ping(peer, timeoutMs) ?? ping(peer, timeoutMs)', replace: 'Promise.resolve(undefined)' },
  { rule: '11', without: 'a look at where a viewer stands when its trial is ready', file: 'gateway/trial.ts', mixes: ['freeze'], find: 'source === this.#from && cursor === this.#after', replace: 'source === this.#from' },
  { rule: '11', without: 'leaving the first edge for the one that was tried out', file: 'gateway/session.ts', mixes: ['freeze'], find: "    this.#leaveEdge({ kind: 'placed', edgeId, placed, answeredAt })\n", replace: "    this.#state = { kind: 'placed', edgeId, placed, answeredAt }\n" },
  { rule: '11', without: 'a group that begins at the last flush', file: 'edge/room.ts', mixes: ['link', 'strays', 'none', 'hard'], find: 'Viewer.following(this.#host, outlet, this.flushed, this.epoch)', replace: 'Viewer.following(this.#host, outlet, this.chain.last, this.epoch)' },
  { rule: '11', without: 'a group that catches up after the link was full', file: 'edge/gateway-link.ts', mixes: ['link', 'slow'], find: 'this.#edge.drained(group.viewer)', replace: 'void 0' },
  { rule: '11', without: 'the next piece of a newcomer', file: 'gateway/join.ts', mixes: ['link', 'strays', 'hard', 'slow'], find: 'for (const member of this.members) if (!member.blocked) return this.#more()', replace: '' },
  { rule: 'acts', without: 'a replay buffer that drops what is deleted', file: 'edge/room.ts', mixes: ['acts'], find: '      this.buffer.erase(without)\n', replace: '' },
  { rule: 'acts', without: 'recent comments that drop what is deleted', file: 'dispatcher/recent-comments.ts', mixes: ['acts'], find: "if (act.type === 'deleted') this.#erase(act.target)", replace: '' },
  { rule: 'acts', without: 'an act that every dispatcher is sent', file: 'dispatcher/dispatcher.ts', mixes: ['acts'], find: 'this.#forward.act(entry, this.#otherDispatchers())', replace: 'this.#forward.act(entry, [])' },
  { rule: 'acts', without: 'a text that has left the store before its deletion is answered', file: 'dispatcher/acts.ts', mixes: ['acts'], find: '        await store.erase(videoId, act.target)', replace: '        void store' },
  { rule: 'acts', without: 'kept flushes that drop what is deleted', file: 'gateway/group.ts', mixes: ['acts'], find: 'if (deleted.length > 0) this.#erase(deleted)', replace: '' },
  { rule: 'acts', without: 'a late push that is known', file: 'edge/chain.ts', mixes: ['acts'], find: "if (this.open && comment.id <= this.last) return 'known'", replace: "if (this.open && comment.id <= this.last) {\n      this.#listener.appended(comment)\n      return 'known'\n    }" },
  { rule: 'acts', without: 'acts that change what a room says of its video', file: 'edge/entries.ts', mixes: ['acts'], find: 'this.state = stateAfter(this.state ?? DEFAULT_STATE, act, pinned)', replace: 'void [stateAfter, DEFAULT_STATE]' },
  { rule: 'acts', without: 'a sync that says how the video is set', file: 'edge/room.ts', mixes: ['acts'], find: 'if (answer.state && answer.head >= chain.last) this.entries.told(answer.state)', replace: '' },
  { rule: 'acts', without: 'comments alone in `recent`', file: 'edge/replay.ts', mixes: ['acts'], find: 'if (isComment(events[--i]!) && ++comments === recent) return i', replace: 'if (events[--i]! && ++comments === recent) return i' },
  { rule: 'acts', without: 'bans that hold', file: 'dispatcher/permission.ts', mixes: ['acts'], find: 'if ((bans.get(authorId) ?? 0) > nowMs)', replace: 'if ((bans.get(authorId) ?? 0) > Infinity)' },
  { rule: 'acts', without: 'a video that is closed', file: 'dispatcher/permission.ts', mixes: ['acts'], find: 'if (settings.closed)', replace: "if (settings.closed && authorId === '')" },
  { rule: 'acts', without: 'authors who delete nothing but their own', file: 'dispatcher/acts.ts', mixes: ['acts'], find: ') !== actorId) throw', replace: ') === undefined) throw' },
  { rule: '11', without: 'several videos that wait together where their connection takes nothing', file: 'gateway/several.ts', mixes: ['slow'], find: 'for (const session of this.sessions) session.block()', replace: 'void 0' },
  { rule: '11', without: 'the places of the other videos in an id', file: 'protocol/several.ts', mixes: ['drain', 'crash', 'hard'], find: "${MARK}${before && `${before}.`}${part}${after && `.${after}`}", replace: '${MARK}${part}' },
  { rule: 'rate', without: 'a name for what is left out', file: 'gateway/thinning.ts', mixes: ['pipe', 'link'], find: 'if (count > 0) left += skippedEvent(count, before, to)', replace: 'void skippedEvent' },
  { rule: 'rate', without: 'the bound on the rate', file: 'gateway/thinning.ts', mixes: ['pipe', 'crowd'], find: "this.#bucket.take('', now) === 0", replace: '(this.#bucket && now >= 0)' },
  { rule: 'rate', without: 'what moderators write in any case', file: 'gateway/thinning.ts', mixes: ['pipe', 'link'], find: ' && !event.includes(PRIORITY)', replace: ' && PRIORITY !== event' },
  { rule: 'hook', without: 'a place that moves by what the receiver has taken', file: 'dispatcher/hooks/hooks.ts', mixes: ['crash', 'hard'], find: "    if (answer !== 'taken') {", replace: "    if (answer !== 'taken') void [pauseMs]\n    if (answer === 'gone') {" },
  { rule: 'hook', without: 'a look for what nobody has told its owner', file: 'dispatcher/hooks/hooks.ts', mixes: ['crash', 'hard', 'strays'], find: 'for (const videoId of found.videoIds) this.stored(videoId, true)', replace: 'void found.videoIds' },
  { rule: 'answers', without: '504 where a dispatcher may have stored it', file: 'gateway/post-comment.ts', mixes: ['late'], find: 'return this.#result ?? (this.#unknown || this.#running > 0 ? unknown : (this.declined', replace: 'return this.#result ?? (this.#unknown === undefined ? unknown : (this.declined' },
]
