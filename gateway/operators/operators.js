/** The operators' page: looks every two seconds, and changes what has changed. */

const EVERY_MS = 2_000
const KEY = 'operators-token'

const $ = id => document.getElementById(id)
const whole = new Intl.NumberFormat('en')
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

/** Kept for this tab alone. */
let token = sessionStorage.getItem(KEY) ?? ''
/** The video whose comments are shown. */
let video
let looking

class Refused extends Error {}

async function ask(path, options = {}) {
  const answer = await fetch(`/operators/${path}`, { ...options, headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(options.body ? { 'content-type': 'application/json' } : {}) }, signal: AbortSignal.timeout(10_000) })
  if (answer.status === 401) throw new Refused()
  const body = answer.status === 204 ? undefined : await answer.json()
  if (!answer.ok) throw new Error(body?.error?.message ?? `status ${answer.status}`)
  return body
}

const post = (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body) })

function element(name, properties = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value
    else made.setAttribute(key, value)
  }
  made.append(...children)
  return made
}

/** Rows by their key: those that stay are changed in place, so that a button does not move from under the pointer unless its row
 * does. A column is aligned as its head is. */
function rows(body, items, keyOf, cellsOf) {
  const heads = body.parentElement.tHead.rows[0].cells
  const known = new Map(Array.from(body.children, row => [row.dataset.key, row]))
  let before = body.firstElementChild
  for (const item of items) {
    const key = keyOf(item)
    const row = known.get(key) ?? element('tr')
    known.delete(key)
    row.dataset.key = key
    const cells = cellsOf(item)
    cells.forEach((cell, i) => {
      const old = row.children[i]
      const text = typeof cell === 'object' ? undefined : String(cell)
      if (!old) row.append(element('td', {}, cell))
      else if (text === undefined ? old.dataset.what !== cell.dataset.what : old.textContent !== text) old.replaceChildren(cell)
      if (text === undefined) row.children[i].dataset.what = cell.dataset.what
      row.children[i].className = heads[i].className
    })
    if (row === before) before = before.nextElementSibling
    else body.insertBefore(row, before)
  }
  for (const row of known.values()) row.remove()
}

function show({ cluster, at, viewers, videos, nodes, problems, hot }) {
  $('cluster').textContent = cluster ? ` · ${cluster}` : ''
  $('totals').textContent = `${whole.format(viewers)} ${viewers === 1 ? 'viewer' : 'viewers'} of ${whole.format(videos)} ${videos === 1 ? 'video' : 'videos'}`
  const said = problems.length > 0 ? problems : ['All is well.']
  if ($('problems').dataset.said !== said.join('\n')) {
    $('problems').dataset.said = said.join('\n')
    $('problems').className = problems.length > 0 ? 'bad' : 'good'
    $('problems').replaceChildren(...said.map(text => element('p', {}, text)))
  }
  rows($('nodes').tBodies[0], nodes, ({ kind, id }) => `${kind} ${id}`, node => [
    node.id,
    badge(node.state),
    node.viewers === null ? '' : load(node),
    node.videos === null ? '' : whole.format(node.videos),
    age(at - node.startedAt),
    node.version,
    button(node),
  ])
  rows($('videos').tBodies[0], hot, ({ videoId }) => videoId, ({ videoId, viewers, perSecond, edges }) => [
    opener(videoId),
    whole.format(viewers),
    tenths.format(perSecond),
    edges.map(({ id, viewers }) => (edges.length === 1 ? id : `${id} (${whole.format(viewers)})`)).join(', '),
  ])
  $('unwatched').hidden = hot.length > 0
}

const badge = state => element('span', { className: `badge ${state}`, 'data-what': state }, state)

function load({ viewers, capacity }) {
  const text = capacity === null ? whole.format(viewers) : `${whole.format(viewers)} of ${whole.format(capacity)}`
  const made = element('span', { className: 'load', 'data-what': text }, text)
  if (capacity) made.append(element('meter', { min: 0, max: capacity, high: 0.9 * capacity, optimum: 0, value: viewers, ariaLabel: text }))
  return made
}

function age(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000))
  if (minutes < 60) return `${minutes} min`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`
}

function button({ kind, id, state }) {
  const drain = state !== 'draining'
  if (kind === 'dispatcher' || state === 'gone') return element('span', { 'data-what': 'none' })
  const made = element('button', { type: 'button', 'data-what': `${drain}`, ariaLabel: `${drain ? 'Drain' : 'Undrain'} ${id}` }, drain ? 'Drain' : 'Undrain')
  made.onclick = async () => {
    if (drain && !(await sure(`Drain ${kind} ${id}? Its viewers move to the others, and it takes no more until you undrain it.`, 'Drain'))) return
    await attempt(post('drain', { id, drain }))
  }
  return made
}

function opener(videoId) {
  const made = element('button', { type: 'button', className: 'plain', 'data-what': videoId }, videoId)
  made.onclick = () => {
    video = videoId
    $('comments').replaceChildren()
    void look()
  }
  return made
}

/** @returns whether the person said yes */
function sure(question, yes) {
  $('question').textContent = question
  $('ask').querySelector('.sure').textContent = yes
  $('ask').returnValue = 'no'
  $('ask').showModal()
  return new Promise(resolve => $('ask').addEventListener('close', () => resolve($('ask').returnValue === 'yes'), { once: true }))
}

/** What failed is said where it was asked for. */
async function attempt(work) {
  try {
    await work
    $('failed').hidden = true
  } catch (error) {
    if (error instanceof Refused) return fail(error)
    $('failed').textContent = error.message
    $('failed').hidden = false
  }
  await look()
}

function fail(error) {
  if (error instanceof Refused) return signIn(true)
  $('state').textContent = `not now: ${error.message}`
  $('state').className = 'bad'
}

async function showComments() {
  $('detail').hidden = video === undefined
  if (video === undefined) return
  const asked = video
  const { comments } = await ask(`comments/${asked}`)
  if (asked !== video) return
  $('video').textContent = video
  const known = new Map(Array.from($('comments').children, row => [row.dataset.id, row]))
  const shown = comments.filter(({ deleted }) => !deleted)
  $('comments').replaceChildren(...shown.map(comment => known.get(comment.id) ?? commentRow(comment)))
  if (shown.length === 0) $('comments').append(element('li', { className: 'faint' }, 'No comment yet.'))
}

function commentRow({ id, authorId, authorName, content, createdAt }) {
  const time = new Date(createdAt)
  const row = element('li', {}, element('time', { dateTime: time.toISOString(), title: time.toLocaleString() }, time.toLocaleTimeString()), element('b', { title: authorId, dir: 'auto' }, authorName ?? authorId), element('p', { dir: 'auto' }, content))
  row.append(element('span', { className: 'acts' },
    actor('Delete', `Delete this comment of ${isolated(authorName ?? authorId)}? Its text is erased for good.`, { type: 'deleted', target: id }),
    actor('Ban for a day', `Ban ${isolated(authorName ?? authorId)} from ${video} for a day?`, { type: 'author-banned', authorId, forSeconds: 86_400 }),
  ))
  row.dataset.id = id
  return row
}

/** Somebody's name within a question: neither turns the other's order round. */
const isolated = name => `\u2068${name.replace(/[\u202a-\u202e\u2066-\u2069]/g, '')}\u2069`

function actor(name, question, act) {
  const asked = video
  const made = element('button', { type: 'button' }, name)
  made.onclick = async () => {
    if (await sure(question, name)) await attempt(post('acts', { videoId: asked, act }))
  }
  return made
}

async function look() {
  clearTimeout(looking)
  try {
    show(await ask('overview'))
    await showComments()
    $('sign').hidden = true
    document.querySelector('main').hidden = false
    $('state').textContent = 'live'
    $('state').className = 'good'
  } catch (error) {
    fail(error)
    if (error instanceof Refused) return
  }
  clearTimeout(looking)
  looking = setTimeout(look, EVERY_MS)
}

function signIn(refused) {
  $('sign').hidden = false
  document.querySelector('main').hidden = true
  $('state').textContent = refused && token ? 'that is not the token' : 'signed out'
  $('state').className = refused && token ? 'bad' : ''
  token = ''
  sessionStorage.removeItem(KEY)
  $('token').focus()
}

$('sign').onsubmit = event => {
  event.preventDefault()
  token = $('token').value.trim()
  $('token').value = ''
  sessionStorage.setItem(KEY, token)
  void look()
}
$('leave').onclick = () => {
  video = undefined
  $('detail').hidden = true
}
// A page that nobody sees asks for nothing.
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(looking) : look()))
void look()
