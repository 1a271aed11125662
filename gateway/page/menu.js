import { held } from './held.js'
import { wordsIn } from './menu-words.js'

/** Somebody's words within ours: neither turns the other's order round, whatever was allowed when they were written. */
const isolated = text => `\u2068${text.replace(/[\u202a-\u202e\u2066-\u2069]/g, '')}\u2069`

const DAY_S = 86_400
/** The longest ban that the server takes. */
const YEAR_S = 365 * DAY_S

/** The menu of a comment, for moderators and, to delete it, for its author; and for moderators the list of held comments. It imports nothing of
 * the page, which has loaded all of it.
 * @param page `moderates`: all comments, `me`: the author of the reader's own, and what the page is made of
 * @returns what puts its button on an item's row, or takes it away */
export function menu({ comments, complain, moderates, me, element, commentRow, nameOf, language }) {
  const words = wordsIn(language)
  for (const old of document.querySelectorAll('#menu')) old.remove()
  const box = element('div')
  box.id = 'menu'
  box.popover = 'auto'
  box.role = 'menu'
  box.ariaLabel = words.menu
  document.body.append(box)
  if (moderates) held({ comments, complain, commentRow, element, language })
  let opener

  box.addEventListener('toggle', ({ newState }) => opener?.setAttribute('aria-expanded', String(newState === 'open')))
  box.addEventListener('keydown', event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    const choices = [...box.children]
    choices.at((choices.indexOf(document.activeElement) + step) % choices.length).focus()
  })

  function open(comment, button) {
    opener = button
    const { id, authorId, authorName = nameOf(authorId) } = comment
    const isPinned = comments.pinned?.id === id
    const choices = [[words.remove, () => comments.remove(id)]]
    if (moderates) {
      choices.push([isPinned ? words.unpin : words.pin, () => comments.pin(isPinned ? undefined : id)])
      for (const [said, seconds] of [[words.banMinutes, 600], [words.banDay, DAY_S], [words.banYear, YEAR_S]]) choices.push([said(isolated(authorName)), () => comments.ban(authorId, seconds)])
    }
    box.replaceChildren(...choices.map(([said, act]) => {
      const choice = element('button', said)
      choice.role = 'menuitem'
      choice.onclick = () => {
        box.hidePopover()
        complain('')
        act().catch(({ message }) => complain(words.notDone(isolated(message))))
      }
      return choice
    }))
    box.showPopover()
    place(box, button)
    box.firstElementChild.focus()
  }

  return ({ comment, node }) => {
    node.querySelector('.act')?.remove()
    if (!moderates && comment.authorId !== me) return
    const button = element('button', '⋯')
    button.className = 'act'
    button.ariaLabel = words.menuOf(isolated(comment.authorName ?? nameOf(comment.authorId)))
    button.ariaHasPopup = 'menu'
    button.onclick = () => open(comment, button)
    node.append(button)
  }
}

/** Under the button, or above it where there is no room. */
function place(box, button) {
  const { left, right, top, bottom } = button.getBoundingClientRect()
  const { offsetWidth: width, offsetHeight: height } = box
  const x = document.documentElement.dir === 'rtl' ? left : right - width
  box.style.left = `${Math.max(4, Math.min(x, innerWidth - width - 4))}px`
  box.style.top = `${bottom + height < innerHeight ? bottom : Math.max(4, top - height)}px`
}
