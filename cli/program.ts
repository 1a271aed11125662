import { Argument, type Command } from 'commander'
import { addClusterCommands } from './cluster-commands.js'
import { CommandLine } from './command-line.js'
import { addCommentCommands } from './comment-commands.js'
import { completion, SHELLS, type Shell } from './completion.js'
import { addModerationCommands } from './moderation-commands.js'
import type { Output, Surroundings } from './output.js'
import { addStoreCommands } from './store-commands.js'

/** The operators' commands. A command whose check fails sets the status of `out`. */
export function program(surroundings: Surroundings, out: Output): Command {
  const line = new CommandLine(surroundings, out)
  addClusterCommands(line)
  addStoreCommands(line)
  addCommentCommands(line)
  addModerationCommands(line)
  line
    .command('completion', 'print a script with which a shell completes the live-comments command', ...SHELLS)
    .addArgument(new Argument('<SHELL>', 'bash: source <(live-comments registry completion bash)').choices(SHELLS))
    .action((shell: Shell) => out.write(completion(shell, line.all)))
  return line.all.addHelpText('after', line.examples(['doctor', 'videos --top 10', 'tail demo', 'post demo \'hello\'']))
}
