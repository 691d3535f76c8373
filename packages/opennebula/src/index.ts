export * from './xmlrpc/index.ts';
