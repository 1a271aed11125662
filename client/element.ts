import { Comments, type Comment, type CommentsOptions } from './comments.js'

/** The most comments that stand in the list. */
const MOST = 200

/** `<live-comments url="https://comments.example" video="demo" author="ann">`: a list of comments and a box to write in.
 * Without `author` the server's token names the author. Style it by its parts: list, comment, author, notice, form, input. */
export class LiveComments extends HTMLElement {
  /** Set before the element is in the document. */
  options: CommentsOptions = {}
  /** While the element is in the document. */
  comments: Comments | undefined

  connectedCallback(): void {
    const comments = (this.comments = new Comments(this.getAttribute('url') ?? location.origin, this.getAttribute('video') ?? '', this.options))
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' })
    const list = part('ol', 'list')
    const notice = part('p', 'notice')
    const form = part('form', 'form')
    const input = part('input', 'input')
    input.maxLength = 1_000
    input.required = true
    list.role = 'log'
    notice.role = 'status'
    form.append(input)
    root.replaceChildren(list, notice, form)

    const show = (comment: Comment) => {
      const author = part('b', 'author')
      author.textContent = comment.authorName ?? comment.authorId
      const row = part('li', 'comment')
      row.append(author, ' ', comment.content)
      row.dataset['id'] = comment.id
      list.append(row)
      if (list.childElementCount > MOST) list.firstElementChild?.remove()
    }
    comments.on('comment', show)
    comments.on('deleted', id => list.querySelector(`[data-id="${id}"]`)?.remove())
    comments.on('settings', ({ closed }) => (input.disabled = closed))
    comments.on('state', state => (notice.textContent = state.is === 'live' ? '' : 'error' in state ? `${state.is}: ${state.error.message}` : state.is))
    comments.on('refused', (_, { message }) => (notice.textContent = message))
    form.onsubmit = event => {
      event.preventDefault()
      comments.post(input.value, this.getAttribute('author') ?? undefined).catch(() => {}) // `refused` says it
      input.value = ''
    }
  }

  disconnectedCallback(): void {
    this.comments?.close()
    this.comments = undefined
  }
}

function part<Name extends keyof HTMLElementTagNameMap>(tag: Name, name: string): HTMLElementTagNameMap[Name] {
  const element = document.createElement(tag)
  element.setAttribute('part', name)
  return element
}

customElements.define('live-comments', LiveComments)
