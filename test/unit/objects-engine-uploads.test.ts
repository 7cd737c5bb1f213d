import { uploadsSuite } from "./objects-engine-uploads-suite.js";
import { makeEngineWorld } from "./objects-engine-world.js";

uploadsSuite(makeEngineWorld);
