import type { Command } from 'commander'
import { isCheckout } from '../runtime/root.js'

export type Shell = 'bash' | 'zsh' | 'fish'
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** The parts that may follow `live-comments`; an installed package has no benchmarks. */
const PARTS = ['cluster', 'gateway', 'dispatcher', 'edge', 'registry', 'token', ...(isCheckout ? ['bench'] : []), 'watchdog']

/** A script for `shell` that completes the `live-comments` command. It is generated from the commands and contains all
 * names and flags, so that pressing Tab starts no process. */
export function completion(shell: Shell, registry: Command): string {
  const flagsOfAll = flagsOf(registry)
  const commands = registry.commands.map(command => ({ name: command.name(), about: command.description(), flags: [...flagsOf(command), ...flagsOfAll], choices: command.registeredArguments.flatMap(argument => argument.argChoices ?? []) }))
  return { bash, zsh, fish }[shell](commands, flagsOfAll)
}

interface Completed {
  readonly name: string
  readonly about: string
  readonly flags: readonly string[]
  readonly choices: readonly string[]
}

function flagsOf(command: Command): string[] {
  return [...command.options.flatMap(({ long }) => long ?? []), '--help']
}

const words = (list: readonly string[]) => [...new Set(list)].join(' ')

function bash(commands: readonly Completed[], flags: readonly string[]): string {
  return `# live-comments completion bash: source <(live-comments registry completion bash)
_live_comments() {
  local word=\${COMP_WORDS[COMP_CWORD]} part=\${COMP_WORDS[1]} command= i
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W '${words(PARTS)} --help --version' -- "$word")); return; fi
  [ "$part" = registry ] || return 0
  for ((i = 2; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in ${commands.map(({ name }) => name).join('|')}) command=\${COMP_WORDS[i]}; break;; esac
  done
  case $command in
${commands.map(({ name, flags, choices }) => `    ${name}) COMPREPLY=($(compgen -W '${words([...choices, ...flags])}' -- "$word"));;`).join('\n')}
    *) COMPREPLY=($(compgen -W '${words([...commands.map(({ name }) => name), ...flags])}' -- "$word"));;
  esac
}
complete -F _live_comments live-comments
`
}

function zsh(commands: readonly Completed[], flags: readonly string[]): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  return `#compdef live-comments
# source <(live-comments registry completion zsh), after compinit
_live_comments() {
  local command i
  if (( CURRENT == 2 )); then compadd -- ${words(PARTS)} --help --version; return; fi
  [[ $words[2] == registry ]] || return 0
  for (( i = 3; i < CURRENT; i++ )); do
    case $words[i] in (${commands.map(({ name }) => name).join('|')}) command=$words[i]; break;; esac
  done
  case $command in
${commands.map(({ name, flags, choices }) => `    (${name}) compadd -- ${words([...choices, ...flags])};;`).join('\n')}
    (*)
      local -a commands=(${commands.map(({ name, about }) => quoted(`${name}:${about}`)).join(' ')})
      _describe command commands
      compadd -- ${words(flags)};;
  esac
}
compdef _live_comments live-comments
`
}

function fish(commands: readonly Completed[], flags: readonly string[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  const inRegistry = '__fish_seen_subcommand_from registry'
  const named = commands.map(({ name }) => name).join(' ')
  const long = (list: readonly string[]) => [...new Set(list)].map(flag => `-l ${flag.slice(2)}`)
  return `# live-comments registry completion fish | source
complete -c live-comments -f
complete -c live-comments -n __fish_use_subcommand -a '${words(PARTS)}'
${long(flags).map(flag => `complete -c live-comments -n '${inRegistry}' ${flag}`).join('\n')}
${commands.map(({ name, about }) => `complete -c live-comments -n '${inRegistry}; and not __fish_seen_subcommand_from ${named}' -a ${name} -d ${quoted(about)}`).join('\n')}
${commands
  .flatMap(({ name, flags: all, choices }) => {
    const own = long(all.filter(flag => !flags.includes(flag))).map(flag => `complete -c live-comments -n '${inRegistry}; and __fish_seen_subcommand_from ${name}' ${flag}`)
    return choices.length > 0 ? [...own, `complete -c live-comments -n '${inRegistry}; and __fish_seen_subcommand_from ${name}' -a '${words(choices)}'`] : own
  })
  .join('\n')}
`
}
