import { Command, CommanderError } from 'commander'

/** What a wrong command or flag was likely meant to be, in commander's words and judgement, after a space; '' where
 * nothing of `known` looks like it.
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
