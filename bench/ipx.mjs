// ipx behind node's own HTTP server, a process per core. Arguments: folder of node_modules, port.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
} else {
  const path = createRequire(`${folder}/`).resolve("ipx");
  const { createIPX, createIPXNodeServer, ipxHttpStorage } = await import(pathToFileURL(path).href);
  const ipx = createIPX({ httpStorage: ipxHttpStorage({ allowAllDomains: true }) });
  createServer(createIPXNodeServer(ipx)).listen(Number(port), "127.0.0.1");
}
