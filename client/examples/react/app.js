// Comments by the hook. Your build turns JSX into calls such as these.

import { createElement as h, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { useComments } from '/dist/react.js'

const query = new URLSearchParams(location.search)
const server = query.get('server') ?? 'http://127.0.0.1:8080'
const video = query.get('video') ?? 'demo'

function App() {
  const { comments, pinned, settings, viewers, state, posts, client } = useComments(server, video, { storage: localStorage })
  const [text, setText] = useState('')
  const submit = event => {
    event.preventDefault()
    client?.post(text).catch(({ message }) => alert(message))
    setText('')
  }
  return h('main', null,
    h('p', { role: 'status' }, 'error' in state ? `${state.is}: ${state.error.message}` : state.is, `, ${viewers} watching`),
    pinned && h('p', null, h('b', null, 'Pinned: '), pinned.content),
    h('ol', { role: 'log' }, comments.map(({ id, authorName, authorId, content }) => h('li', { key: id }, h('b', null, authorName ?? authorId), ` ${content}`))),
    h('ul', null, posts.map(({ key, content }) => h('li', { key }, `${content} …`))),
    h('form', { onSubmit: submit },
      h('input', { value: text, onChange: ({ target }) => setText(target.value), maxLength: 1_000, required: true, disabled: settings?.closed, 'aria-label': 'Your comment' }),
      ' ', h('button', { disabled: settings?.closed }, 'Send')))
}

createRoot(document.getElementById('root')).render(h(App))
