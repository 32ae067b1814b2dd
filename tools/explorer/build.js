/**
 * Builds the libraries that the explorer's page ships.
 *
 * `npm ci && npm run build` writes each library as one ES module to `static/vendor/`, with what the
 * page uses of it, and its licence beside it. The page itself needs no build.
 */

import { build } from "esbuild";
import { copyFile, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const VENDOR = fileURLToPath(new URL("../../src/latente/explorer/static/vendor/", import.meta.url));

/** Name of the file, package, its licence's file, and what the page uses. */
const LIBRARIES = [
  {
    file: "twgl",
    library: "twgl.js",
    licence: "LICENSE.md",
    uses: [
      "createBufferInfoFromArrays",
      "createProgramInfo",
      "createTexture",
      "drawBufferInfo",
      "setAttribInfoBufferFromArray",
      "setBuffersAndAttributes",
      "setTextureFromArray",
      "setUniforms",
    ],
  },
  {
    file: "gifenc",
    library: "gifenc",
    licence: "LICENSE.md",
    uses: ["GIFEncoder", "applyPalette", "quantize"],
  },
];

for (const { file, library, licence, uses } of LIBRARIES) {
  const folder = new URL(`node_modules/${library}/`, import.meta.url);
  const { version, license } = JSON.parse(await readFile(new URL("package.json", folder)));
  await build({
    stdin: { contents: `export { ${uses.join(", ")} } from "${library}";`, resolveDir: "." },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    mainFields: ["module", "main"],
    legalComments: "none",
    banner: { js: `/* ${library} ${version}, licence ${license}: see ${file}.LICENSE.txt */` },
    outfile: `${VENDOR}${file}.js`,
    absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  });
  await copyFile(new URL(licence, folder), `${VENDOR}${file}.LICENSE.txt`);
}
