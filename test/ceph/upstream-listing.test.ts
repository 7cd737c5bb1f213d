import { listingSuite } from "../unit/objects-engine-listing-suite.js";
import { makeUpstreamEngineWorld } from "./upstream-engine-world.js";

listingSuite(makeUpstreamEngineWorld);
