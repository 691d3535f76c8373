import type { CommandGroup, CommandSpec } from '../command/spec.ts';

const shells = ['bash', 'zsh', 'fish'] as const;

/** The command that completes the others. */
export function completionOf(commands: readonly (CommandSpec | CommandGroup)[]): CommandSpec {
  return {
    name: 'completion',
    summary: 'Print a script that completes commands, options and variable names',
    arguments: [{ name: '<shell>', help: shells.join(', ') }],
    examples: ['source <(oneflower completion bash)', 'oneflower completion fish | source'],
    async run({ arguments: [shell] }) {
      const { OneFlowerError, variables } = await import('@oneflower/contract');
      const names = variables.filter(variable => variable.source === 'operator').map(variable => variable.name);
      const script = scriptFor(shell ?? '', wordsOf(commands), names);
      if (script !== undefined) return { document: { shell, script }, text: script };
      throw new OneFlowerError({
        code: 'usage',
        message: `There is no completion for ${JSON.stringify(shell?.slice(0, 40))}.`,
        remedy: `Name one of ${shells.join(', ')}.`,
        fault: 'user',
      });
    },
  };
}

/** What may follow each sequence of words; the key of the first word is empty. */
type Words = Map<string, string[]>;

function wordsOf(commands: readonly (CommandSpec | CommandGroup)[]): Words {
  const words: Words = new Map([['', commands.map(command => command.name)]]);
  for (const command of commands) {
    if (!('verbs' in command)) {
      words.set(command.name, optionsOf(command));
      continue;
    }
    words.set(
      command.name,
      command.verbs.map(verb => verb.name),
    );
    for (const verb of command.verbs) words.set(`${command.name} ${verb.name}`, optionsOf(verb));
  }
  return words;
}

function optionsOf(command: CommandSpec): string[] {
  const own = (command.options ?? []).flatMap(option => option.flags.match(/--[a-z-]+/g) ?? []);
  return [...own, ...(command.cloud ? ['--cloud'] : []), '--json', '--help'];
}

function scriptFor(shell: string, words: Words, variables: string[]): string | undefined {
  if (shell === 'bash') return bashScript(words, variables);
  if (shell === 'zsh') return `autoload -U +X bashcompinit && bashcompinit\n${bashScript(words, variables)}`;
  if (shell === 'fish') return fishScript(words, variables);
  return undefined;
}

function bashScript(words: Words, variables: string[]): string {
  const cases = [...words].map(([path, next]) => `    "${path}") words="${next.join(' ')}" ;;`);
  return `_oneflower() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" word words=""
  if [ "$previous" = "--set" ] || [ "$previous" = "-s" ]; then
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(compgen -S = -W "${variables.join(' ')}" -- "$current"))
    return
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) break ;; esac
    case "$path" in ""|run|model|cloud) path="\${path:+$path }$word" ;; *) break ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && compopt -o default 2>/dev/null
}
complete -F _oneflower oneflower
`;
}

function fishScript(words: Words, variables: string[]): string {
  const lines = ['complete -c oneflower -f'];
  for (const [path, next] of words) {
    const condition =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map(word => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    for (const word of next) {
      lines.push(
        word.startsWith('--')
          ? `complete -c oneflower -n '${condition}' -l ${word.slice(2)}`
          : `complete -c oneflower -n '${condition}' -a ${word}`,
      );
    }
  }
  const names = variables.map(name => `${name}=`).join(' ');
  lines.push(`complete -c oneflower -n '__fish_seen_subcommand_from deploy' -s s -l set -xa '${names}'`);
  return `${lines.join('\n')}\n`;
}
