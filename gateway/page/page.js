import { crier } from './crier.js'
import { historyOf } from './history.js'
import { commentItem, gapItem, List } from './list.js'
import { outbox } from './outbox.js'
import { rate } from './rate.js'
import { RECENT, stream } from './stream.js'
import { onToken } from './token.js'

const MAX_CONTENT = 1_000
const MAX_UNSENT = 20

/** What is wrong, and what is done about it. */
const WORDS = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Connection lost. Trying again…',
  busy: 'The server has no room just now. Trying again…',
  silent: 'Nothing heard for 35 seconds. Connecting again…',
  offline: 'You are offline. Going on when the network is back.',
  hidden: 'Paused while nobody looks.',
}

const $ = id => document.getElementById(id)
const scroll = $('scroll')
const form = $('form')
const content = $('content')
const author = $('author')

const memory = remembered()
const video = new URLSearchParams(location.search).get('video') || 'demo'
const path = `/comments/${encodeURIComponent(video)}`
if (location.pathname === '/embed') document.body.classList.add('embed')
$('video').textContent = video
document.title = `${video} · Live comments`
author.value = memory.author ?? ''

// ---- watch

/** Comments that enter the page together, once a frame. */
let arrived = []
const list = new List(scroll, $('comments'), historyOf(path), changed)
const cry = crier($('said'))
const count = rate(text => ($('rate').textContent = text))
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
  viewers: count => ($('viewers').textContent = `${count.toLocaleString()} watching`),
  ready() {
    unsent.retry()
    if (started) return
    started = true
    show()
    list.older = list.length < RECENT ? 'none' : 'more'
    changed()
  },
  state(name, reason) {
    $('state').textContent = reason ? `The server refuses: ${reason}. Trying again…` : WORDS[name]
    document.body.dataset.state = name
  },
})

onToken(() => {
  if (document.body.dataset.state !== 'live') watch()
  unsent.retry()
})

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
  if (state === 'none' && document.activeElement === older) scroll.focus({ preventScroll: true })
  older.hidden = state === 'none'
  older.textContent = { loading: 'Loading older comments…', failed: 'Older comments cannot be read just now: try again' }[state] ?? (list.missed ? 'Load what was missed' : 'Show older comments')
  $('beginning').hidden = !started || state !== 'none'
  $('beginning').textContent = list.length + unsent.length === 0 ? 'No comments yet. Write the first one.' : 'This is where it began.'
  $('newest').hidden = following
  $('newest').textContent = unseen > 0 ? `${unseen.toLocaleString()} new` : 'Newest'
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

form.addEventListener('submit', event => {
  event.preventDefault()
  const text = content.value.trim()
  const over = [...text].length - MAX_CONTENT
  if (text === '') return
  if (over > 0) return complain(`A comment has at most ${MAX_CONTENT} characters: this is ${over} too many.`)
  if (unsent.length >= MAX_UNSENT) return complain(`${MAX_UNSENT} of your comments are not sent yet: wait until they are.`)
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

if (/^[\w-]{1,64}$/.test(video)) watch()
else {
  form.hidden = true
  $('state').textContent = 'No video can have this name: 1 to 64 letters, digits, _ or -.'
}

/** Storage may be switched off, above all in another site's frame. */
function remembered() {
  try {
    return localStorage
  } catch {
    return {}
  }
}
