import { wordsIn } from './menu-words.js'

const EVERY_MS = 15_000

/** The comments that wait for a moderator, above all others, each with what there is to decide. It asks again by itself, and is not
 * there where nothing waits. It imports nothing of the page, which has loaded all of it.
 * @param page what the page is made of */
export function held({ comments, complain, commentRow, element, language }) {
  const words = wordsIn(language)
  for (const old of document.querySelectorAll('#held')) old.remove()
  const box = element('details')
  box.id = 'held'
  box.hidden = true
  const title = element('summary')
  const list = element('ol')
  box.append(title, list)
  document.getElementById('pinned').before(box)

  /** Rows that stay keep the keyboard's place. */
  function show(waiting) {
    const rows = new Map(Array.from(list.children, row => [row.dataset.id, row]))
    list.replaceChildren(...waiting.map(each => rows.get(each.id) ?? rowOf(each)))
    title.textContent = words.held(waiting.length)
    box.hidden = waiting.length === 0
  }

  function rowOf(waiting) {
    const row = commentRow({ ...waiting, createdAt: waiting.heldAt })
    const choices = element('span')
    choices.className = 'choices'
    for (const [said, decision] of [[words.approve, 'approve'], [words.refuse, 'refuse']]) {
      const button = element('button', said)
      button.onclick = async () => {
        complain('')
        try {
          await comments.decide(waiting.id, decision)
        } catch ({ message }) {
          complain(words.notDone(message))
        }
        title.focus() // the button that had it may go
        await read()
      }
      choices.append(button)
    }
    row.append(choices)
    return row
  }

  async function read() {
    try {
      show(await comments.held())
    } catch {
      // It is asked again.
    }
  }

  async function watch() {
    if (!box.isConnected) return
    if (!document.hidden) await read()
    setTimeout(watch, EVERY_MS)
  }
  watch()
}
