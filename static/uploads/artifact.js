// Whether a file is an artifact, as far as its beginning tells.

const HEADER_BYTES = 263;
const MAGIC = { at: 257, text: "ustar" };
/** The first file in an artifact. */
const FIRST_NAME = "version";

/** Whether a file looks like an artifact: a tar that begins as artifacts do. The server looks closely, later. */
export async function looksLikeArtifact(file) {
    try {
        const header = await file.slice(0, HEADER_BYTES).text();
        const [name] = header.split("\0", 1);
        return name === FIRST_NAME && header.slice(MAGIC.at).startsWith(MAGIC.text);
    } catch {
        return false;
    }
}
