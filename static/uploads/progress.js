// Uploads that go on, in every view.

export function UploadsInProgress() {
    return null;
}
