// A recorded video, and its comments in step with it.

import { Comments } from '../../client/comments.js'
import { Recording } from '../../client/recording.js'
import { commentRow } from './row.js'
import { onToken, tokenSource } from './site.js'
import { words } from './words.js'

/** The most rows. */
const MOST = 200
/** Pixels from the end that count as the end. */
const NEAR = 48

const $ = id => document.getElementById(id)
const asked = new URLSearchParams(location.search)
const video = asked.get('video') || 'demo'
const start = Number(asked.get('start') ?? NaN)
const list = $('comments')
const scroll = $('scroll')

$('video').textContent = document.title = [...(asked.get('title')?.trim() || video)].slice(0, 200).join('')
scroll.ariaLabel = words.comments
const media = $('media')
media.hidden = !asked.get('media')
if (!media.hidden) media.src = asked.get('media')

if (!/^[\w-]{1,64}$/.test(video)) say(words.noVideo)
else if (!Number.isFinite(start)) say(words.noStart)
else play()

function play() {
  const recording = new Recording(new Comments('', video, { token: tokenSource }), { start, offsetMs: Number(asked.get('offset')) || 0 })
  recording.on('comment', comment => show([comment]))
  recording.on('reset', comments => {
    list.replaceChildren()
    show(comments)
    scroll.scrollTop = scroll.scrollHeight
  })
  recording.on('failed', () => say(words.lost))
  onToken({ changed: () => recording.seek(recording.position), wanted() {} })
  recording.follow(media)
}

function show(comments) {
  say('')
  const { scrollTop, scrollHeight, clientHeight } = scroll
  const following = scrollHeight - scrollTop - clientHeight < NEAR
  list.append(...comments.map(comment => commentRow(comment)))
  while (list.childElementCount > MOST) list.firstElementChild.remove()
  if (following) scroll.scrollTop = scroll.scrollHeight
}

function say(text) {
  $('state').textContent = text
}
