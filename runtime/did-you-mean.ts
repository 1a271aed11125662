import { Command, CommanderError } from 'commander'

/** commander's suggestion for a mistyped command or flag, preceded by a space; '' if nothing in `known` resembles it.
 * @param known commands, or flags with their dashes, as `wrong` is one or the other */
export function meant(wrong: string, known: readonly string[]): string {
  const program = new Command().helpCommand(false).helpOption(false).exitOverride().configureOutput({ writeErr: () => {} })
  for (const name of known) {
    if (name.startsWith('--')) program.option(name)
    else program.command(name)
  }
  try {
    program.parse([wrong], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    const said = /\(Did you mean .*\)/.exec(error.message)?.[0]
    return said === undefined ? '' : ` ${said}`
  }
  return ''
}
