/** Options of the commands: wrong ones are exit code 2, with the reason and the usage. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

export function wrongUsage(usage: string, why: string): never {
  console.error(`${why}\n\n${usage}`);
  process.exit(2);
}

export function readOptions<const T extends ParseArgsOptionsConfig>(
  usage: string,
  options: T,
  allowPositionals = false,
) {
  if (process.argv.includes("--help")) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ args: withNegativeNumbers(process.argv.slice(2)), options, allowPositionals, strict: true });
  } catch (error) {
    return wrongUsage(usage, (error as Error).message);
  }
}

/** `--value -5` as `--value=-5`: a number below zero is no option. */
const withNegativeNumbers = (given: readonly string[]): string[] =>
  given.reduce<string[]>((args, one) => {
    const before = args.at(-1);
    if (before !== undefined && /^--[a-z-]+$/.test(before) && /^-\.?\d/.test(one)) args.push(`${args.pop()}=${one}`);
    else args.push(one);
    return args;
  }, []);
