// The honest peer, beside the hostile one.
import { connect } from 'shmloop';

const channel = await connect('beside');
channel.handle((request) => request);
