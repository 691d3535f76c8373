export * from './login.ts';
export * from './oned/index.ts';
export * from './oneflow/index.ts';
export * from './onegate/index.ts';
export * from './template/index.ts';
export * from './xmlrpc/index.ts';
