import * as z from 'zod';

const table = z.object({
  title: z.string(),
  axis: z.string(),
  points: z.array(z.string()).min(1),
  series: z.array(z.object({ name: z.string(), values: z.array(z.number()) })).min(1),
});

/** What `python -m studies.NAME` prints, as flower/studies/document.py states it. */
export const studyDocument = z.object({ study: z.string(), settings: z.array(z.string()), tables: z.array(table) });

export type StudyDocument = z.infer<typeof studyDocument>;
export type StudyTable = z.infer<typeof table>;
