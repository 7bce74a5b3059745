/** `npm run bench`: all transports, each by its own API. */
import { TRANSPORTS } from '../transports/index.mjs';
import { compileLimits } from './limits.mjs';
import { prepare } from './measure.mjs';
import { CASES, makePlan } from './plan.mjs';
import { formatRows } from './report.mjs';

/** @type {import('./run.mjs').Suite} */
export const suite = {
  usage: 'npm run bench -- [options]',
  cases: CASES,
  transports: Object.keys(TRANSPORTS),
  makePlan,
  prepare,
  format: formatRows,

  async setUp(transports) {
    if (transports.some((name) => TRANSPORTS[name].sides === 'native')) await compileLimits();
  },
};
