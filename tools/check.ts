import { runChecks } from './checks.ts';
import { say, setUpTests } from './setup.ts';

const { python } = await setUpTests();
say('Static checks');
const { failed } = await runChecks(python);
process.exitCode = failed > 0 ? 1 : 0;
