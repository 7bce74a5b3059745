export { NamedRegion } from './named-region.js';
export { type Layout, Region, SEAL } from './region.js';
export { PoolBlock, RegionPool, type RegionPoolOptions, takeOver } from './region-pool.js';
export {
  createRegion,
  insideOf,
  type RegionOptions,
  SHARING_SEALS,
  SharedRegion,
  type Sharing,
} from './shared-region.js';
