import { writeDerivedFiles } from './derived-files.ts';

const written = await writeDerivedFiles();
console.log(written.length === 0 ? 'All derived files are fresh.' : written.map(path => `wrote ${path}`).join('\n'));
