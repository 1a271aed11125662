import { onCrowded } from './ask.js'
import { crier } from './crier.js'
import { historyOf } from './history.js'
import { commentItem, gapItem, List } from './list.js'
import { outbox } from './outbox.js'
import { rate } from './rate.js'
import { RECENT, stream } from './stream.js'
import { give, onToken } from './token.js'
import { numeral, words } from './words.js'

const MAX_CONTENT = 1_000
const MAX_TITLE = 200
const MAX_UNSENT = 20

const $ = id => document.getElementById(id)
const scroll = $('scroll')
const form = $('form')
const content = $('content')
const author = $('author')
const body = document.body.dataset

const memory = remembered()
const asked = new URLSearchParams(location.search)
const video = asked.get('video') || 'demo'
const path = `/comments/${encodeURIComponent(video)}`
const readonly = document.documentElement.classList.contains('readonly')

if (location.pathname === '/embed') document.body.classList.add('embed')
for (const labelled of document.querySelectorAll('[data-words]')) labelled.textContent = words[labelled.dataset.words]
for (const [id, label] of [['scroll', words.comments], ['unsent', words.unsent], ['send', words.send]]) $(id).ariaLabel = label
author.placeholder = words.anonymous
content.placeholder = words.say
$('video').textContent = $('video').title = [...(asked.get('title')?.trim() || video)].slice(0, MAX_TITLE).join('')
document.title = `${$('video').textContent} · Live comments`
author.value = memory.author?.slice(0, author.maxLength) ?? ''
say('connecting')

// ---- watch

/** Comments that enter the page together, once a frame. */
let arrived = []
const list = new List(scroll, $('comments'), historyOf(path), changed)
const cry = crier($('said'))
const count = rate(text => ($('rate').textContent = body.state === 'live' ? text : ''))
const unsent = outbox(path, $('unsent'), comment => arrive(commentItem(comment, true)), changed)
let started = false

const watch = stream(path, {
  comment(comment, live) {
    const mine = unsent.seen(comment)
    arrive(commentItem(comment, mine))
    if (!live) return
    count()
    if (!mine) cry(comment)
  },
  // A gap that leads back: the site was restored from a copy.
  gap: gap => (Number(gap.to) < Number(gap.from) ? location.reload() : arrive(gapItem(gap))),
  viewers: count => ($('viewers').textContent = words.watching(numeral(count))),
  ready() {
    unsent.retry()
    if (started) return
    started = true
    show()
    list.older = list.length < RECENT ? 'none' : 'more'
    changed()
  },
  state: say,
})

onToken({
  changed() {
    $('sign').hidden = true
    if (body.state !== 'live') watch()
    unsent.retry()
  },
  wanted: () => ($('sign').hidden = false),
})
onCrowded(is => ($('crowded').hidden = !is))

/** @param name a state of the stream, as in words.js */
function say(name, reason) {
  $('state').textContent = reason ? words.refused(reason) : words[name]
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
  if (over > 0) return complain(words.tooLong(MAX_CONTENT, over))
  if (unsent.length >= MAX_UNSENT) return complain(words.tooMany(MAX_UNSENT))
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
