import { Comments } from '../../client/comments.js'
import { ask, onCrowded, sixAtMost } from './ask.js'
import { crier } from './crier.js'
import { commentItem, gapItem, List } from './list.js'
import { rate } from './rate.js'
import { commentRow, element, nameOf } from './row.js'
import { claims, give, onToken, tokenSource } from './site.js'
import { unsentIn } from './unsent.js'
import { language, numeral, words } from './words.js'

const RECENT = 50
/** The server opens a stream at once, whatever its state: one that is not open by then may not even have left. */
const OPEN_MS = 5_000
/** A server that refuses is asked again. */
const AGAIN_MS = 5_000
const MAX_CONTENT = 1_000
const MAX_TITLE = 200
const MAX_UNSENT = 20
/** More comments a second than this, over five seconds, outrun a reader: then READABLE a second are shown. */
const UNREADABLE = 20
const READABLE = 10
/** As long as this no comment is left out before the page no longer says that some are. */
const SKIPPED_MS = 5_000
/** The server knows no others. */
const RATES = [5, 10, 20]

const $ = id => document.getElementById(id)
const scroll = $('scroll')
const form = $('form')
const content = $('content')
const author = $('author')
const body = document.body.dataset

const memory = remembered()
const asked = new URLSearchParams(location.search)
const video = asked.get('video') || 'demo'
const readonly = document.documentElement.classList.contains('readonly')

if (location.pathname === '/embed') document.body.classList.add('embed')
for (const labelled of document.querySelectorAll('[data-words]')) labelled.textContent = words[labelled.dataset.words]
for (const [id, label] of [['scroll', words.comments], ['unsent', words.unsent], ['pinned', words.pinned], ['send', words.send]]) $(id).ariaLabel = label
author.placeholder = words.anonymous
content.placeholder = words.say
$('video').textContent = $('video').title = [...(asked.get('title')?.trim() || video)].slice(0, MAX_TITLE).join('')
document.title = `${$('video').textContent} · Live comments`
author.value = memory.author?.slice(0, author.maxLength) ?? ''
say('connecting')

// ---- watch

/** Comments that enter the page together, once a frame. */
let arrived = []
// The list reads what a gap left out, as its reader comes to it.
const comments = new Comments('', video, { recent: RECENT, fill: 0, maxRate: RATES.find(each => String(each) === asked.get('maxRate')), token: tokenSource, fetch: ask })
/** Puts a menu on a row, where its comment may be deleted or pinned. */
let dress = () => {}
const list = new List(scroll, $('comments'), comments, item => dress(item), changed)
/** All comments are shown, however many they are. */
let wantsAll = asked.get('maxRate') === 'all'
const cry = crier($('said'))
const count = rate((text, perSecond) => {
  $('rate').textContent = body.state === 'live' ? text : ''
  if (perSecond > UNREADABLE && !wantsAll) comments.maxRate ??= READABLE
  const { maxRate } = comments
  $('fewer').hidden = !maxRate || performance.now() - skippedAt > SKIPPED_MS
  if (maxRate) $('few').textContent = words.fewer(numeral(maxRate), numeral(Math.round(perSecond)))
})
/** When comments were left out last, by performance.now(). */
let skippedAt = -Infinity
const unsent = unsentIn($('unsent'), comments, {
  accepted(comment) {
    arrive(commentItem(comment, true))
    wait((comments.settings?.slowModeSeconds ?? 0) * 1_000)
    rights()
  },
  wait,
  changed,
})
let started = false

onToken({
  changed() {
    $('sign').hidden = true
    if (body.state !== 'live') comments.retry()
    unsent.retry()
    rights()
  },
  wanted: () => ($('sign').hidden = false),
})
onCrowded(is => ($('crowded').hidden = !is))

function watch() {
  comments.on('comment', (comment, live) => {
    const mine = unsent.seen(comment)
    arrive(commentItem(comment, mine))
    if (!live) return
    count()
    if (!mine) cry(comment)
  })
  comments.on('skipped', skipped => {
    count(skipped.count)
    skippedAt = performance.now()
  })
  comments.on('gap', gap => {
    arrive(gapItem(gap))
    list.check()
  })
  comments.on('rewind', () => location.reload()) // the site was restored from a copy
  comments.on('deleted', id => list.remove(Number(id)))
  comments.on('pinned', comment => {
    $('pinned').hidden = !comment
    const row = comment && commentRow(comment)
    $('pinned').replaceChildren(...(row ? [row] : []))
    if (row) dress({ comment, node: row })
  })
  comments.on('settings', limit)
  comments.on('viewers', count => ($('viewers').textContent = words.watching(numeral(count))))
  comments.on('state', turn)
}

let opened = false
let later = 0

/** How the stream is, in the names of words.js. Trouble is said until it is over. */
function turn({ is, error }) {
  clearTimeout(later)
  if (is === 'connecting') {
    opened = false
    if (body.state === 'hidden') say(is)
    if (sixAtMost) later = setTimeout(() => navigator.onLine && say('unopened'), OPEN_MS)
  } else if (is === 'catching up') opened = true
  else if (is === 'lost') say(error.message === 'silence' ? 'silent' : opened ? 'busy' : is)
  else say(is, error?.message)
  if (is === 'refused') later = setTimeout(() => comments.retry(), AGAIN_MS)
  if (is !== 'live') return
  opened = false
  if (started) return
  started = true
  show()
  list.older = list.length < RECENT ? 'none' : 'more'
  changed()
}

/** @param name a state of the stream, as in words.js */
function say(name, reason) {
  $('state').textContent = name === 'refused' ? words.refused(reason) : words[name]
  body.state = name
  if (name !== 'live') $('rate').textContent = ''
}

function arrive(item) {
  if (arrived.push(item) === 1) requestAnimationFrame(show)
}

function show() {
  const items = arrived
  arrived = []
  if (items.length > 0) list.add(items)
}

function changed() {
  const older = $('older')
  const { older: state, following, unseen } = list
  const nothing = started && list.length + unsent.length === 0
  if (state === 'none' && document.activeElement === older) scroll.focus({ preventScroll: true })
  older.hidden = state === 'none'
  older.textContent = { loading: words.loadingOlder, failed: words.noOlder }[state] ?? (list.missed ? words.missed : words.older)
  $('nothing').hidden = !nothing || state !== 'none'
  $('beginning').hidden = !started || nothing || state !== 'none'
  $('newest').hidden = following
  $('newest').textContent = unseen > 0 ? words.unseen(numeral(unseen)) : words.newest
  if (following) list.toEnd()
}

$('older').addEventListener('click', () => {
  list.following = false
  list.back()
})
$('newest').addEventListener('click', newest)
$('all').addEventListener('click', () => {
  wantsAll = true
  comments.maxRate = undefined
  $('fewer').hidden = true
  newest()
})
scroll.addEventListener('keydown', event => {
  if (event.key === 'End') newest()
})

function newest() {
  list.jump()
  scroll.focus({ preventScroll: true }) // the button that had it is gone
}

// ---- post

form.hidden = readonly

form.addEventListener('submit', event => {
  event.preventDefault()
  const text = content.value.trim()
  const over = [...text].length - MAX_CONTENT
  if (text === '') return
  if (leftMs() > 0) return
  if (over > 0) return complain(words.tooLong(MAX_CONTENT, over))
  if (unsent.sending >= MAX_UNSENT) return complain(words.tooMany(MAX_UNSENT))
  complain('')
  content.value = ''
  list.jump()
  unsent.send(text, $('name').hidden ? undefined : author.value.trim() || 'anonymous')
  content.focus()
  memory.author = author.value.trim()
})

content.addEventListener('keydown', event => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  form.requestSubmit()
})
content.addEventListener('input', () => complain(''))

function complain(text) {
  $('error').textContent = text
  $('error').hidden = text === ''
}

// ---- what moderators have set, and may do

const mayModerate = () => [claims().mod].flat().some(mod => mod === true || mod === video)
/** Until when slow mode lets the reader write no other comment, by performance.now(). */
let until = 0
let ticking = 0
/** For whom the menu is. */
let menuFor

const leftMs = () => (mayModerate() ? 0 : until - performance.now())

/** Closes the box, or says why it will be slow. What is in it stays. */
function limit() {
  const { closed, signedInOnly, slowModeSeconds } = comments.settings ?? {}
  const tokenNamesAuthor = $('name').hidden
  const shut = mayModerate() ? '' : closed ? words.closed : signedInOnly && !tokenNamesAuthor ? words.signedInOnly : ''
  $('limit').textContent = shut || (slowModeSeconds > 0 ? words.slowMode(numeral(slowModeSeconds)) : '')
  content.disabled = $('send').disabled = shut !== ''
}

/** The send button counts down. */
function wait(ms) {
  until = Math.max(until, performance.now() + ms)
  tick()
}

function tick() {
  const left = Math.ceil(leftMs() / 1_000)
  $('send').textContent = left > 0 ? numeral(left) : ''
  $('send').ariaLabel = left > 0 ? words.wait(numeral(left)) : words.send
  $('send').ariaDisabled = left > 0
  clearTimeout(ticking)
  if (left > 0) ticking = setTimeout(tick, 250)
}

/** Who may delete or pin has a menu for it, which is loaded then. */
async function rights() {
  const moderates = mayModerate()
  const me = $('name').hidden ? (claims().sub ?? unsent.me) : undefined
  limit()
  const same = `${moderates} ${me}` === menuFor
  menuFor = `${moderates} ${me}`
  if (same || (!moderates && me === undefined)) return
  const { menu } = await import('./menu.js')
  dress = menu({ comments, complain, moderates, me, element, commentRow, nameOf, language })
  list.dress()
  const [row] = $('pinned').children
  if (row) dress({ comment: comments.pinned, node: row })
}

$('sign').addEventListener('submit', event => {
  event.preventDefault()
  give($('token').value.trim())
  $('token').value = ''
  content.focus()
})

if (/^[\w-]{1,64}$/.test(video)) watch()
else {
  form.hidden = true
  say('noVideo')
}

/** Storage may be switched off, above all in another site's frame. */
function remembered() {
  try {
    return localStorage
  } catch {
    return {}
  }
}
