import { uploadsSuite } from "../unit/objects-engine-uploads-suite.js";
import { makeUpstreamEngineWorld } from "./upstream-engine-world.js";

uploadsSuite(makeUpstreamEngineWorld);
