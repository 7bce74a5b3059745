export { NamedRegion } from './named-region.js';
export { type Layout, Region } from './region.js';
