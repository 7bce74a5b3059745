export { NamedRegion } from './named-region.js';
export { type Access, type Layout, Region } from './region.js';
