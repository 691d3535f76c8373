export { type ModelCard, modelCard, renderCard } from './card.ts';
export { type Downloaded, type DownloadRequest, downloadModel, listModels } from './models.ts';
