// How the page looks, as its address says. It runs before the first paint, so nothing flashes.
{
  const asked = new URLSearchParams(location.search)
  const root = document.documentElement

  const theme = asked.get('theme')
  if (theme === 'light' || theme === 'dark') root.style.colorScheme = theme

  const [, red, green, blue] = /^#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(asked.get('accent')) ?? []
  if (red) {
    // Relative luminance as WCAG 2 defines it. At 0.179 black and white have the same contrast, 4.58:1.
    const linear = part => ((parseInt(part, 16) / 255 + 0.055) / 1.055) ** 2.4
    const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    root.style.setProperty('--accent', `#${red}${green}${blue}`)
    root.style.setProperty('--on-accent', luminance > 0.179 ? '#000' : '#fff')
  }

  // The languages of words.js: what the address asks for, else the reader's.
  const known = /^(ar|de|en|es|fr)(-([a-z]{2}|\d{3}))?$/i
  root.lang = [asked.get('lang'), ...navigator.languages].find(language => known.test(language)) ?? 'en'
  if (/^ar/i.test(root.lang)) root.dir = 'rtl'

  if (asked.has('readonly') && asked.get('readonly') !== 'false') root.classList.add('readonly')
}
