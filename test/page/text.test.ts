import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'

const folder = join(projectRoot, 'gateway', 'page')
const module = async <T>(name: string) => (await import(pathToFileURL(join(folder, name)).href)) as T

type Part = string | { readonly text: string; readonly href: string }
type Words = Record<string, string | ((...parts: string[]) => string)>

const { parts } = await module<{ parts: (text: string) => Part[] }>('links.js')
const { hue } = await module<{ hue: (id: string) => number }>('hue.js')

t.test('addresses in a text become links, and what closes the sentence does not', async t => {
  const link = (text: string, href = text) => ({ text, href })
  for (const [text, expected] of [
    ['no link at all', ['no link at all']],
    ['', []],
    ['https://example.com/', [link('https://example.com/')]],
    ['see https://example.com/a?b=c&d#e, please', ['see ', link('https://example.com/a?b=c&d#e'), ', please']],
    ['HTTP://EXAMPLE.com', [link('HTTP://EXAMPLE.com', 'http://example.com/')]],
    ['(https://en.wikipedia.org/wiki/Goal_(sport)).', ['(', link('https://en.wikipedia.org/wiki/Goal_(sport)'), ').']],
    ['"https://example.com/x" and “https://example.com/y”!', ['"', link('https://example.com/x'), '" and “', link('https://example.com/y'), '”!']],
    ['見て https://example.com/日本。', ['見て ', link('https://example.com/日本', 'https://example.com/%E6%97%A5%E6%9C%AC'), '。']],
    ['https://example.com/a\nhttp://example.org/b', [link('https://example.com/a'), '\n', link('http://example.org/b')]],
    ['https://example.com/)))', [link('https://example.com/'), ')))']],
  ] as [string, Part[]][]) {
    t.same(parts(text), expected, text)
    t.equal(parts(text).map(part => (typeof part === 'string' ? part : part.text)).join(''), text, 'nothing is lost')
  }
})

t.test('nothing but http and https is a link, and nothing that poses as another site', async t => {
  for (const text of [
    'javascript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'ftp://example.com/', 'blob:https', '//example.com/x', 'xhttps://example.com/',
    'https://', 'https:// example.com', 'http://[', 'https://bank.example@evil.example/', 'https://user:password@example.com/', 'https://\u202Eexample.com',
  ]) t.same(parts(text), [text], text)
  t.match(parts('https://example.com/\u202Egnp.exe'), [{ href: 'https://example.com/' }], 'it ends where something unseen begins')
  for (const part of parts('<a href="https://example.com/" onclick=x>https://example.com/"><script>')) if (typeof part !== 'string') t.equal(part.href, 'https://example.com/')
})

t.test('a thousand brackets or addresses take no time', async t => {
  const before = process.cpuUsage()
  for (const text of [`https://a${')'.repeat(1_000)}`, 'https://'.repeat(125), `https://a/${'('.repeat(990)}`, 'http://a '.repeat(111)]) parts(text)
  t.ok(process.cpuUsage(before).user < 500_000) // µs of this process, however busy the machine is
})

t.test('authors with ids that are nearly the same have colours that differ', async t => {
  const apart = (one: string, other: string) => {
    const degrees = Math.abs(hue(one) - hue(other))
    return Math.min(degrees, 360 - degrees)
  }
  for (const prefix of ['', 'user', 'guest-000', 'ann', '👩 ', 'x'.repeat(63)]) {
    const ids = Array.from('0123456789', digit => prefix + digit)
    for (const [i, one] of ids.entries()) for (const other of ids.slice(i + 1)) t.ok(apart(one, other) >= 19, `${one} and ${other}: ${apart(one, other)}°`)
  }
  for (const [one, other] of [['anna', 'anne'], ['ann', 'anm'], ['a', 'b'], ['user12', 'user21'], ['bob', 'bob1'], ['Mira', 'mira'], ['mira', 'mira_'], ['guest-0099', 'guest-0100']] as const) t.ok(apart(one, other) >= 19, `${one} and ${other}: ${apart(one, other)}°`)
  const seen = new Set(Array.from({ length: 3_600 }, (_, i) => Math.floor(hue(`viewer ${i}`) / 30)))
  t.equal(seen.size, 12, 'the whole circle is used')
  t.equal(hue('mira'), hue('mira'), 'always the same')
})

t.test('the menu of moderators too', async t => {
  const { languages } = await module<{ languages: Record<string, Words> }>('menu-words.js')
  t.same(Object.keys(languages).sort(), ['ar', 'de', 'en', 'es', 'fr'])
  for (const [language, words] of Object.entries(languages)) {
    t.same(Object.keys(words), Object.keys(languages['en']!), language)
    for (const [key, said] of Object.entries(words)) if (typeof said === 'function') t.match(said('«0»'), '«0»', `${language}: ${key}`)
  }
})

t.test('every language says all that English says, with the same in it', async t => {
  const page = Object.assign(globalThis, { document: { documentElement: { lang: 'en' } } }) as { document?: unknown }
  t.after(() => delete page.document)
  const { words: english } = await module<{ words: Words }>('words.js')
  const languages = readdirSync(folder).filter(name => name.startsWith('words-'))
  t.ok(languages.length >= 4)
  for (const name of languages) {
    const { words } = await module<{ words: Words }>(name)
    t.same(Object.keys(words), Object.keys(english), name)
    for (const [key, said] of Object.entries(english)) {
      const other = words[key]
      t.equal(typeof other, typeof said, `${name}: ${key}`)
      if (typeof said !== 'function' || typeof other !== 'function') continue
      const given = Array.from({ length: said.length }, (_, i) => `«${i}»`)
      for (const part of given) t.match(other(...given), part, `${name}: ${key}`)
    }
  }
})

/** What the page's first script makes of an address. */
function look(search: string, languages: readonly string[] = ['en-US']) {
  const set: Record<string, string> = {}
  const root = { style: { setProperty: (name: string, value: string) => void (set[name] = value) }, classList: { add: (name: string) => void (set[name] = 'added') }, lang: 'en', dir: '' }
  runInNewContext(readFileSync(join(folder, 'look.js'), 'utf8'), { URLSearchParams, navigator: { languages }, location: { search }, document: { documentElement: root } })
  return { set, lang: root.lang, dir: root.dir, theme: (root.style as { colorScheme?: string }).colorScheme }
}

/** As WCAG 2 has it. */
function luminance(color: string): number {
  const [red, green, blue] = color.replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3').match(/[0-9a-f]{2}/gi)!.map(part => {
    const share = parseInt(part, 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue! + 0.05
}

t.test('whatever the accent, what stands on it can be read', async t => {
  const poor: string[] = []
  for (let colour = 0; colour < 0x1000000; colour += 0x10101 * 5 + 0x1337) {
    const accent = colour.toString(16).padStart(6, '0')
    const { set } = look(`?accent=${accent}`)
    const [dark, light] = [luminance(set['--accent']!), luminance(set['--on-accent']!)].sort((a, b) => a - b)
    if (set['--accent'] !== `#${accent}` || light! / dark! < 4.5) poor.push(accent)
  }
  t.same(poor, [])
  t.equal(look('?accent=%23FFD400').set['--accent'], '#FFD400')
})

t.test('what an address asks for is looked at before it is believed', async t => {
  for (const [search, lang, dir] of [
    ['', 'en-US', ''], ['?lang=de', 'de', ''], ['?lang=DE-at', 'DE-at', ''], ['?lang=es-419', 'es-419', ''], ['?lang=ar', 'ar', 'rtl'], ['?lang=ar-EG', 'ar-EG', 'rtl'],
    ['?lang=tlh', 'en-US', ''], ['?lang=', 'en-US', ''], ['?lang=de-', 'en-US', ''], ['?lang=de/../x', 'en-US', ''], ['?lang=arc', 'en-US', ''],
  ] as const) t.match(look(search), { lang, dir }, search)
  t.equal(look('', ['ja-JP', 'fr-CA', 'de']).lang, 'fr-CA', 'the first of the reader\'s that there is')
  t.equal(look('', []).lang, 'en')
  for (const accent of ['red', '12345', '1234567', '#12345g', 'fff;color:red', 'var(--x)', 'url(//evil.example)', ' 123456', '123456\n']) t.same(look(`?accent=${encodeURIComponent(accent)}`).set, {}, accent)
  t.same(['light', 'dark', 'DARK', 'pink', ''].map(theme => look(`?theme=${theme}`).theme), ['light', 'dark', undefined, undefined, undefined])
  t.same(['?readonly', '?readonly=true', '?readonly=1', '?readonly=false', ''].map(search => 'readonly' in look(search).set), [true, true, true, false, false])
})
