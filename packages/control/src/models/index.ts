export { type DownloadRequest, downloadModel, listModels } from './models.ts';
